package com.github.rteserver.client;

import com.github.rteserver.client.RteEvents.RteEvent;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** A subscription to one event of one entity. The client renews it on every connection until it ends. */
public final class RteSubscription<E extends RteEvent> {
    /** What the server does with a subscription. */
    public enum State {
        /** Not yet confirmed, or waiting for a new connection or for a server that can decide. */
        PENDING,
        /** The server sends events. */
        ACTIVE,
        /** The server refused it; the reason is its code. It is not tried again. */
        REFUSED,
        /** By unsubscribe, by the server (the reason is its code), or with the client. */
        ENDED
    }

    final TopicEntry entry;
    final Consumer<? super E> handler;
    private final RteClient client;
    private final CompletableFuture<RteSubscription<E>> ready = new CompletableFuture<>();
    private boolean ended; // guarded by client

    RteSubscription(RteClient client, TopicEntry entry, Consumer<? super E> handler) {
        this.client = client;
        this.entry = entry;
        this.handler = handler;
    }

    /** What it is subscribed to. */
    public Topic topic() {
        return entry.topic;
    }

    /** Whether the server sends events. */
    public State state() {
        synchronized (client) {
            return ended ? State.ENDED : entry.state;
        }
    }

    /** The code of a refusal, for instance "unauthorized"; why it is pending; otherwise empty. */
    public String reason() {
        synchronized (client) {
            return ended ? "unsubscribed" : entry.reason;
        }
    }

    /** The id by which the operator finds the reason of a refusal; otherwise empty. */
    public String traceId() {
        synchronized (client) {
            return entry.traceId;
        }
    }

    /** The last state; null if none arrived, and for events that are no states. */
    @SuppressWarnings("unchecked") // the entry has events of its name alone
    public E last() {
        synchronized (client) {
            E last = null;
            for (RteEvent event : entry.states.values()) {
                last = (E) event;
            }
            return last;
        }
    }

    /** Completes when the subscription is no longer pending for the first time: look at the state. */
    public CompletableFuture<RteSubscription<E>> ready() {
        return ready.copy();
    }

    /** Ends the subscription. Its handler gets no further event. */
    public void unsubscribe() {
        synchronized (client) {
            ended = true;
            entry.subscriptions.remove(this);
            client.changed(this);
            client.wake();
        }
        client.flush();
    }

    void complete() {
        if (state() != State.PENDING) {
            ready.complete(this);
        }
    }

    @SuppressWarnings("unchecked") // the entry has events of its name alone
    void handle(RteEvent event) {
        synchronized (client) {
            if (ended) {
                return;
            }
        }
        if (handler != null) {
            handler.accept((E) event);
        }
    }
}
