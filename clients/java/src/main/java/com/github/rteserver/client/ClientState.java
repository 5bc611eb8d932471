package com.github.rteserver.client;

import java.time.Instant;

/**
 * What an application shows beside its data.
 *
 * @param kind whether the data is right
 * @param since when the kind began. It stays while only the reason changes
 * @param reason why it is not right, for people; otherwise empty
 */
public record ClientState(Kind kind, Instant since, String reason) {
    /** Whether the data is right. */
    public enum Kind {
        /** Connected, subscribed to everything that was granted, and nothing is missing. */
        RIGHT,
        /** The data may be old. The client connects, subscribes, or waits for a reload. */
        BEHIND,
        /** Over. The application stopped the client, there is no token, or the server refused a new token. */
        GONE
    }
}
