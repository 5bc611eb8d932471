package com.github.rteserver.client;

import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.TemporalAccessor;

/** Reads the times of events. */
public final class RteTime {
    private RteTime() {
    }

    /** Reads a time in ISO 8601; without a zone it is UTC. Returns null for null. */
    public static OffsetDateTime parse(String text) {
        if (text == null) {
            return null;
        }
        TemporalAccessor time = DateTimeFormatter.ISO_DATE_TIME.parseBest(text, OffsetDateTime::from, LocalDateTime::from);
        return time instanceof LocalDateTime local ? local.atOffset(ZoneOffset.UTC) : (OffsetDateTime) time;
    }
}
