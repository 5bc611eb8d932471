package com.github.rteserver.client;

import java.time.Instant;
import java.util.List;

/**
 * Events that may be missing: fetch the data of the topics from the REST API.
 *
 * @param reason "reconnect" after a lost connection, otherwise the reason of the server's Resync
 * @param from no event before this time is missing; null if unknown. After a reconnect by the clock of this machine
 * @param topics the topics with missing events. Their last states, where the server has them, have already arrived
 */
public record Discontinuity(String reason, Instant from, List<Topic> topics) {
    /** Fetches what may be missing. It runs in a thread of its own; after an error the client calls it again. */
    @FunctionalInterface
    public interface Reload {
        /** Fetches the data of the topics. */
        void reload(Discontinuity discontinuity) throws Exception;
    }
}
