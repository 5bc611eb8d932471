package com.github.rteserver.client;

import com.microsoft.signalr.HttpHubConnectionBuilder;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.function.IntToLongFunction;

/** The options of a client. Each method changes the options and returns them. */
public final class RteClientOptions {
    final Access.Source token;
    String url;
    IntToLongFunction retryDelay = RteClientOptions::defaultRetryDelay;
    int batchItems;
    int batchBytes;
    Duration timeout = Duration.ofSeconds(30);
    Duration serverTimeout = Duration.ofSeconds(30);
    Consumer<Throwable> onError =
        error -> System.getLogger("com.github.rteserver.client").log(System.Logger.Level.ERROR, "rte", error);
    Consumer<HttpHubConnectionBuilder> configure = builder -> { };

    /** The source of tokens is the only option that a client needs. */
    public RteClientOptions(Access.Source token) {
        this.token = token;
    }

    /**
     * Address of the hub, with any of the schemes wss, ws, https and http, or without one. Not needed if the source of
     * tokens returns it.
     */
    public RteClientOptions url(String url) {
        this.url = url;
        return this;
    }

    /** The pause in milliseconds before another attempt, by the number of failures before it. */
    public RteClientOptions retryDelay(IntToLongFunction delay) {
        retryDelay = delay;
        return this;
    }

    /** Largest number of items and bytes of one call; default: what the server states. */
    public RteClientOptions batches(int items, int bytes) {
        batchItems = items;
        batchBytes = bytes;
        return this;
    }

    /** Longest time to connect, to get a token, or to wait for an answer. */
    public RteClientOptions timeout(Duration timeout) {
        this.timeout = timeout;
        return this;
    }

    /** Time without a message, after which the connection counts as lost. */
    public RteClientOptions serverTimeout(Duration timeout) {
        serverTimeout = timeout;
        return this;
    }

    /** Takes errors of the application's functions; default: the log. */
    public RteClientOptions onError(Consumer<Throwable> handler) {
        onError = handler;
        return this;
    }

    /** Changes the connection before it is built: a proxy, certificates. The events must stay JSON. */
    public RteClientOptions configure(Consumer<HttpHubConnectionBuilder> change) {
        configure = change;
        return this;
    }

    /** Pauses between a half and all of 1 s, 2 s, 4 s to 30 s. The first one is anywhere below 1 s. */
    static long defaultRetryDelay(int failures) {
        long longest = Math.min(30_000, 1000L << Math.min(failures, 5));
        return ThreadLocalRandom.current().nextLong(failures == 0 ? 0 : longest / 2, longest + 1);
    }

    /** Returns an address as Microsoft's client needs it: with http or https. */
    static String hubUrl(String url) {
        if (!url.contains("://")) {
            return "https://" + url.replaceFirst("^/+", "");
        }
        return url.replaceFirst("^(?i)ws", "http");
    }
}
