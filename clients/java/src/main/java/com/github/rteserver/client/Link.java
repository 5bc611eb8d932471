package com.github.rteserver.client;

import com.google.gson.JsonObject;
import com.microsoft.signalr.HttpHubConnectionBuilder;
import com.microsoft.signalr.HttpRequestException;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Single;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;

/** One connection. A client makes a new one for each attempt, so that nothing of an old one reaches it. */
final class Link {
    private final RteClientOptions options;
    private final InOrder protocol;
    private final HubConnection hub;
    private final Runnable closed;
    private final AtomicBoolean over = new AtomicBoolean();
    private final CountDownLatch gone = new CountDownLatch(1);
    private volatile Throwable failure;
    private volatile boolean unauthorized;

    /** The server has announced that it closes the connection. The lock of the client guards it. */
    boolean closing;
    /** Messages that wait until this is the client's connection; null: it is. The lock of the client guards it. */
    List<JsonObject> waiting;

    Link(RteClientOptions options, Access access, Map<String, BiConsumer<Link, JsonObject>> handlers, Runnable closed) {
        this.options = options;
        this.closed = closed;
        protocol = new InOrder((name, argument) -> {
            if (!over.get()) {
                handlers.get(name).accept(this, argument);
            }
        });
        String url = RteClientOptions.hubUrl(access.url());
        String features = "features=notices,snapshot,limits";
        HttpHubConnectionBuilder builder = HubConnectionBuilder.create(url + (url.contains("?") ? "&" : "?") + features)
            .withTransport(TransportEnum.WEBSOCKETS)
            .withAccessTokenProvider(Single.just(access.token()))
            .withHandshakeResponseTimeout(options.timeout.toMillis())
            .withServerTimeout(options.serverTimeout.toMillis())
            .withHubProtocol(protocol);
        options.configure.accept(builder);
        hub = builder.build();
        // Microsoft's client needs the types, and fails without handlers.
        handlers.keySet().forEach(name -> hub.on(name, argument -> { }, JsonObject.class));
        hub.onClosed(error -> end(error == null ? new IllegalStateException("the server closed the connection") : error));
    }

    boolean isOver() {
        return over.get();
    }

    /**
     * Ends the connection if the server has sent nothing for too long. Returns the milliseconds until that is to be
     * checked again. Microsoft's client waits for an answer of the server before it reports such an end.
     */
    long check() {
        long rest = options.serverTimeout.minus(protocol.idle()).toMillis();
        if (rest <= 0) {
            end(new IllegalStateException("the server sent nothing for " + options.serverTimeout));
        }
        return Math.max(rest, 1);
    }

    /** Why it ended; null if the client ended it. */
    Throwable failure() {
        return failure;
    }

    /** Reports whether the server refused the token. */
    boolean isUnauthorized() {
        return unauthorized;
    }

    void start() {
        try {
            hub.start().timeout(options.timeout.toMillis(), TimeUnit.MILLISECONDS).blockingAwait();
        } catch (RuntimeException error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                unauthorized |= cause instanceof HttpRequestException refusal && refusal.getStatusCode() == 401;
            }
            end(error);
        }
        if (isOver()) {
            throw new IllegalStateException(RteClient.textOf(failure));
        }
    }

    /** Calls a hub method. A call without an answer ends the connection: what the server did is unknown. */
    <T> T call(Class<T> type, String method, Object... arguments) {
        AtomicBoolean late = new AtomicBoolean();
        try {
            return hub.invoke(type, method, arguments)
                .timeout(options.timeout.toMillis(), TimeUnit.MILLISECONDS, Single.fromCallable(() -> {
                    late.set(true);
                    throw new IllegalStateException(method + " took longer than " + options.timeout);
                }))
                .blockingGet();
        } catch (RuntimeException error) {
            if (late.get()) {
                end(error);
            }
            throw error;
        }
    }

    /** Ends the connection, and reports this once. */
    void end(Throwable why) {
        if (!over.compareAndSet(false, true)) {
            return;
        }
        failure = why;
        closed.run();
        Thread closing = new Thread(() -> {
            try {
                hub.close();
            } catch (RuntimeException error) {
                // It was not open.
            }
            gone.countDown();
        }, "rte-close");
        closing.setDaemon(true);
        closing.start();
    }

    /** Ends the connection, and waits until the socket is closed. */
    void stop() throws InterruptedException {
        end(null);
        gone.await(options.timeout.toMillis(), TimeUnit.MILLISECONDS);
    }
}
