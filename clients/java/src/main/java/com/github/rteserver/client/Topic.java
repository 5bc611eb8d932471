package com.github.rteserver.client;

import java.util.Locale;

/** One event of one entity. */
public record Topic(String entityId, String eventName) {
    /** Names the topic. The server does not distinguish upper and lower case. */
    String key() {
        return (entityId + "/" + eventName).toLowerCase(Locale.ROOT);
    }
}
