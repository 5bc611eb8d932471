package com.github.rteserver.client;

import com.github.rteserver.client.RteEvents.RteEvent;
import com.google.gson.Gson;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;

/** What the server knows once, however many subscriptions need it. The lock of the client guards all. */
final class TopicEntry {
    private static final int MAX_STATES = 1000;
    private static final Gson GSON = new Gson();
    private static final AtomicLong SERIALS = new AtomicLong();

    /** Distinguishes it from an earlier one of the same topic. */
    private final long serial = SERIALS.incrementAndGet();
    final Topic topic;
    final Map<String, String> item;
    /** The bytes that it takes in a call. */
    final int bytes;
    /** The properties that distinguish the states of the entity; null if the event is no state. */
    final List<String> keys;
    final Map<String, RteEvent> states = new LinkedHashMap<>();
    final Set<RteSubscription<?>> subscriptions = new LinkedHashSet<>();
    RteSubscription.State state = RteSubscription.State.PENDING;
    String reason = "";
    String traceId = "";
    /** When to subscribe, in milliseconds; for pending ones. */
    long due;
    int failures;
    /** Since when events may be missing, in milliseconds; null: none is. Long.MIN_VALUE: unknown. */
    Long gapSince;
    String gapReason = "";

    TopicEntry(Topic topic) {
        this.topic = topic;
        item = Map.of("EntityId", topic.entityId(), "EventName", topic.eventName());
        bytes = GSON.toJson(item).getBytes(StandardCharsets.UTF_8).length + 1;
        keys = RteEvents.STATE_KEYS.get(topic.eventName().toLowerCase(Locale.ROOT));
    }

    /** Distinguishes an event of this topic from all others. */
    String idOf(String event) {
        return serial + " " + event;
    }

    void miss(long since, String why) {
        gapSince = gapSince == null ? since : Math.min(since, gapSince);
        gapReason = why;
    }

    /** Keeps a state. Returns false if it is the one that was there. */
    boolean keep(RteEvent event) {
        if (keys == null) {
            return true;
        }
        StringBuilder key = new StringBuilder();
        for (String name : keys) {
            key.append(event.json.get(name)).append('\n');
        }
        RteEvent before = states.get(key.toString());
        if (before != null && event.id != null && event.id.equals(before.id)) {
            return false;
        }
        states.remove(key.toString()); // so that the newest is the last one
        states.put(key.toString(), event);
        if (states.size() > MAX_STATES) {
            states.remove(states.keySet().iterator().next());
        }
        return true;
    }
}
