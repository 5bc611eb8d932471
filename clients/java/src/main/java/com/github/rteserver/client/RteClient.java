package com.github.rteserver.client;

import com.github.rteserver.client.ClientState.Kind;
import com.github.rteserver.client.RteEvents.RteEvent;
import com.github.rteserver.client.RteSubscription.State;
import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/**
 * A client of the hub. It connects until it succeeds, subscribes again after every interruption, and reports where
 * events may be missing. One instance serves a whole application. Its methods may be called from any thread. It calls the
 * functions of the application one after another: a function that waits stops the events.
 */
public final class RteClient implements AutoCloseable {
    /** Ids of events that are remembered to leave out duplicates. */
    private static final int MAX_SEEN = 4096;

    /** Messages of the next connection that wait for the end of the one before. */
    private static final int MAX_WAITING = 4096;

    private static final Gson GSON = new Gson();

    private final RteClientOptions options;
    private final Map<String, List<Consumer<RteEvent>>> handlers = new HashMap<>();
    private final List<Consumer<ClientState>> stateHandlers = new CopyOnWriteArrayList<>();
    private final List<Discontinuity.Reload> reloads = new CopyOnWriteArrayList<>();
    private final CompletableFuture<Void> started = new CompletableFuture<>();
    private final Thread worker = new Thread(this::run, "rte-client");

    // The lock of the client guards the following fields. The client holds it never while it calls the application.
    private final Map<String, TopicEntry> topics = new LinkedHashMap<>();
    private final Set<String> seen = new LinkedHashSet<>();
    private final ArrayDeque<JsonObject> notices = new ArrayDeque<>();
    private final ArrayDeque<Runnable> calls = new ArrayDeque<>(); // of the application, in order
    private ClientState state = new ClientState(Kind.BEHIND, Instant.now(), "not started");
    private Link link;
    private Next next; // ready to replace the link
    private Thread preparing; // runs prepare; null: none does
    // Subscriptions of the link that the application has ended before it was the client's.
    private List<TopicEntry> leftovers = List.of();
    private boolean work;
    private boolean stopping;
    private boolean snapshotsUnderWay;
    private int mostItems;
    private int batchItems;
    private int batchBytes;
    private Map<TopicEntry, Long> missed = new LinkedHashMap<>();
    private String missedReason = "";
    private boolean reloading;
    private int reloadFailures;
    private long reloadDue;

    // Held while the client calls the application.
    private final ReentrantLock delivery = new ReentrantLock();

    /** The next connection, and the topics that it has already. */
    private record Next(Link link, Set<TopicEntry> topics) {
    }

    /** Makes a client, which connects after {@link #start}. */
    public RteClient(RteClientOptions options) {
        this.options = options;
        mostItems = batchItems = options.batchItems > 0 ? options.batchItems : 2000;
        batchBytes = options.batchBytes > 0 ? options.batchBytes : 30_000;
        worker.setDaemon(true);
    }

    /** What to show beside the data. */
    public synchronized ClientState state() {
        return state;
    }

    /** Calls a function after each change of the state. */
    public void onState(Consumer<ClientState> handler) {
        stateHandlers.add(handler);
    }

    /**
     * Calls a function where events may be missing: after a lost connection, and when the server reports a loss. The last
     * states have arrived by then, as far as the server has them. The function fetches the rest. The state is behind until
     * it returns.
     */
    public void onDiscontinuity(Discontinuity.Reload reload) {
        reloads.add(reload);
    }

    /** Calls a function with each event of a class of {@link RteEvents}, of all subscriptions. */
    public <E extends RteEvent> void on(Class<E> type, Consumer<? super E> handler) {
        add(type.getSimpleName(), event -> handler.accept(type.cast(event)));
    }

    /** Calls a function with each event. */
    public void onAny(Consumer<? super RteEvent> handler) {
        add("", handler::accept);
    }

    private synchronized void add(String name, Consumer<RteEvent> handler) {
        handlers.computeIfAbsent(name.toLowerCase(Locale.ROOT), key -> new CopyOnWriteArrayList<>()).add(handler);
    }

    /** Subscribes to an event of an entity, without a handler of its own. */
    public <E extends RteEvent> RteSubscription<E> subscribe(String entityId, Class<E> type) {
        return subscribe(entityId, type, null);
    }

    /**
     * Subscribes to an event of an entity, until it is unsubscribed or refused. It may be called at any time: calls of the
     * same moment become one call to the server, cut to its limits. Several subscriptions to one topic are one at the
     * server; a later one gets the last states that the client has.
     */
    public <E extends RteEvent> RteSubscription<E> subscribe(
            String entityId, Class<E> type, Consumer<? super E> handler) {
        return add(new Topic(entityId, type.getSimpleName()), handler);
    }

    /** Subscribes to an event that this package has no class for. Its properties are in {@link RteEvent#json}. */
    public RteSubscription<RteEvent> subscribe(String entityId, String eventName, Consumer<? super RteEvent> handler) {
        return add(new Topic(entityId, eventName), handler);
    }

    private <E extends RteEvent> RteSubscription<E> add(Topic topic, Consumer<? super E> handler) {
        RteSubscription<E> subscription;
        synchronized (this) {
            TopicEntry entry = topics.computeIfAbsent(topic.key(), key -> new TopicEntry(topic));
            subscription = new RteSubscription<>(this, entry, handler);
            entry.subscriptions.add(subscription);
            if (state.kind() == Kind.GONE) {
                set(entry, State.ENDED, state.reason());
            } else if (entry.state == State.REFUSED || entry.state == State.ENDED) {
                set(entry, State.PENDING, "");
            }
            changed(subscription);
            RteSubscription<E> later = subscription;
            entry.states.values().forEach(event -> calls.add(() -> later.handle(event)));
            wake();
        }
        flush();
        return subscription;
    }

    /** Returns the names of all events that the server knows. */
    public List<String> availableSubscriptions() {
        return List.of(call(String[].class, "AvailableSubscriptions"));
    }

    /** Returns what the server has as subscriptions of this connection. */
    public List<JsonObject> activeSubscriptions() {
        return List.of(call(JsonObject[].class, "ActiveSubscriptions"));
    }

    private <T> T call(Class<T> type, String method) {
        Link current;
        synchronized (this) {
            current = link;
        }
        if (current == null) {
            throw new IllegalStateException("not connected");
        }
        return current.call(type, method);
    }

    /** Begins to connect. The result completes at the first connection, however long that takes, or fails at the end. */
    public synchronized CompletableFuture<Void> start() {
        if (worker.getState() == Thread.State.NEW && !stopping) {
            worker.start();
        }
        return started.copy();
    }

    /** Ends the client for good. */
    @Override
    public void close() {
        List<Link> links = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        synchronized (this) {
            stopping = true;
            if (link != null) {
                links.add(link);
            }
            if (next != null) {
                links.add(next.link());
                next = null;
            }
            threads.add(worker);
            if (preparing != null) {
                threads.add(preparing);
            }
            wake();
        }
        threads.forEach(Thread::interrupt);
        try {
            for (Link last : links) {
                last.stop();
            }
            for (Thread thread : threads) {
                if (Thread.currentThread() != thread) {
                    thread.join(options.timeout.toMillis());
                }
            }
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
        }
        end("stopped");
    }

    /** Calls the application, in the order of what happened. */
    void flush() {
        if (delivery.isHeldByCurrentThread()) {
            return; // the call below continues
        }
        delivery.lock();
        try {
            for (Runnable next = poll(); next != null; next = poll()) {
                try {
                    next.run();
                } catch (RuntimeException error) {
                    options.onError.accept(error);
                }
            }
        } finally {
            delivery.unlock();
        }
    }

    private synchronized Runnable poll() {
        return calls.poll();
    }

    /** Wakes the worker. */
    synchronized void wake() {
        work = true;
        notifyAll();
    }

    private synchronized void await(long milliseconds) throws InterruptedException {
        long end = now() + milliseconds;
        for (long rest = milliseconds; !work && rest > 0; rest = end - now()) {
            wait(rest);
        }
    }

    private static long now() {
        return System.nanoTime() / 1_000_000;
    }

    private Access access(String reason) throws Exception {
        FutureTask<Access> request = new FutureTask<>(() -> options.token.get(reason));
        Thread thread = new Thread(request, "rte-token");
        thread.setDaemon(true);
        thread.start();
        try {
            Access access = request.get(options.timeout.toMillis(), TimeUnit.MILLISECONDS);
            if (access == null || access.token() == null) {
                return null;
            }
            String url = options.url == null ? access.url() : options.url;
            if (url == null) {
                throw new IllegalStateException("the address is missing in the options and in the answer for a token");
            }
            return new Access(access.token(), url);
        } catch (ExecutionException failure) {
            throw failure.getCause() instanceof Exception cause ? cause : failure;
        } catch (TimeoutException late) {
            throw new TimeoutException("getting a token took longer than " + options.timeout);
        } finally {
            request.cancel(true);
        }
    }

    /** Connects again and again. */
    private void run() {
        int failures = 0;
        boolean renewed = false;
        while (!isStopping()) {
            Link current = null;
            long since = 0;
            try {
                current = adopt();
                if (current == null) {
                    Access access = access(renewed ? "refused" : "connect");
                    if (access == null) {
                        end("there is no token");
                        return;
                    }
                    show("connecting");
                    current = open(access);
                    current.start();
                }
                since = now();
                renewed = false;
                synchronized (this) {
                    link = current;
                }
                started.complete(null);
                serve(current);
            } catch (Exception error) {
                if (current != null) {
                    current.end(error);
                } else if (!isStopping()) {
                    options.onError.accept(error);
                    show("no token: " + textOf(error));
                }
            }
            synchronized (this) {
                link = null;
            }
            if (isStopping()) {
                break;
            }
            if (current != null) {
                if (interrupt(current, since > 0)) {
                    continue;
                }
                if (current.isUnauthorized()) {
                    if (renewed) {
                        end("the server refused a new token: 401");
                        return;
                    }
                    renewed = true;
                    continue;
                }
            }
            // Otherwise a server that accepts and closes at once would be called without a pause.
            if (since > 0 && now() - since > 10_000) {
                failures = 0;
            }
            try {
                Thread.sleep(options.retryDelay.applyAsLong(failures++));
            } catch (InterruptedException stop) {
                break;
            }
        }
        end("stopped");
    }

    private synchronized boolean isStopping() {
        return stopping;
    }

    private Link open(Access access) {
        return new Link(options, access, Map.of(
            "MessageReceived", this::receive,
            "SubscriptionsEnded", (from, notice) -> drop(notice),
            "Resync", this::resync,
            "Limits", (from, notice) -> limit(notice),
            "Closing", this::announce
        ), this::wake);
    }

    private synchronized void announce(Link from, JsonObject notice) {
        from.closing = true;
        wake();
    }

    /** Begins to prepare the next connection, if the server has announced the end of this one. */
    private synchronized void prepareNext(Link current) {
        if (current.closing && preparing == null && (next == null || next.link().isOver()) && !stopping) {
            current.closing = false;
            preparing = new Thread(() -> prepare(current), "rte-next");
            preparing.setDaemon(true);
            preparing.start();
        }
    }

    /**
     * Opens the next connection while the server still serves the one that it is about to close, so that no event is
     * missing. The events of the next one wait until the old one has ended: so they stay in order. If it fails, the client
     * connects again as after any other end.
     */
    private void prepare(Link before) {
        Link opened = null;
        boolean ready = false;
        try {
            Access access = access("connect");
            if (access != null) {
                opened = open(access);
                opened.waiting = new ArrayList<>();
                opened.start();
                Next prepared = new Next(opened, subscribeAll(opened));
                synchronized (this) {
                    ready = link == before && !before.isOver() && !stopping;
                    next = ready ? prepared : next;
                }
            }
        } catch (Exception error) {
            System.getLogger("com.github.rteserver.client").log(System.Logger.Level.DEBUG, "the next connection", error);
        }
        if (opened != null && !ready) {
            opened.end(null);
        }
        synchronized (this) {
            preparing = null;
            wake();
        }
    }

    /** Subscribes to all that is active. Returns what was granted. */
    private Set<TopicEntry> subscribeAll(Link opened) {
        List<TopicEntry> rest;
        synchronized (this) {
            rest = topics.values().stream().filter(entry -> entry.state == State.ACTIVE).toList();
        }
        Set<TopicEntry> granted = new HashSet<>();
        while (!rest.isEmpty()) {
            List<TopicEntry> batch = cut(rest);
            rest = rest.subList(batch.size(), rest.size());
            JsonArray results = opened.call(JsonArray.class, "Subscribe", items(batch));
            for (int i = 0; i < Math.min(batch.size(), results.size()); i++) {
                if (codeOf(results.get(i).getAsJsonObject()).equals("ok")) {
                    granted.add(batch.get(i));
                }
            }
        }
        return granted;
    }

    /** Makes the next connection the client's; null: there is none. */
    private Link adopt() {
        Link adopted;
        synchronized (this) {
            if (next == null) {
                return null;
            }
            adopted = next.link();
            leftovers = next.topics().stream()
                .filter(entry -> entry.state != State.ACTIVE || topics.get(entry.topic.key()) != entry).toList();
            next = null;
            List<JsonObject> waiting = adopted.waiting;
            adopted.waiting = null;
            // Messages before an event that the client has are older, such as the state that came at the subscription.
            Map<String, Integer> known = new HashMap<>();
            for (int i = 0; i < waiting.size(); i++) {
                String key = keyOf(waiting.get(i));
                TopicEntry entry = topics.get(key);
                String id = Access.text(waiting.get(i).getAsJsonObject("data"), "id");
                if (entry != null && seen.contains(entry.idOf(id))) {
                    known.put(key, i);
                }
            }
            for (int i = 0; i < waiting.size(); i++) {
                if (i > known.getOrDefault(keyOf(waiting.get(i)), -1)) {
                    take(waiting.get(i));
                }
            }
        }
        flush();
        return adopted;
    }

    private synchronized void resync(Link from, JsonObject notice) {
        if (from.waiting != null) {
            from.end(new IllegalStateException("events were lost")); // the client connects again, and reloads
            return;
        }
        notices.add(notice);
        wake();
    }

    private synchronized void limit(JsonObject limits) {
        mostItems = batchItems = options.batchItems > 0 ? options.batchItems : limits.get("items").getAsInt();
        // 200: what is around the items.
        batchBytes = options.batchBytes > 0 ? options.batchBytes : limits.get("messageBytes").getAsInt() - 200;
    }

    /**
     * A new connection has no subscriptions, and events of the time without one are missing. Reports whether the next
     * connection is ready.
     */
    private boolean interrupt(Link lost, boolean wasOpen) {
        boolean ready;
        synchronized (this) {
            String why = lost.failure() == null ? "connection lost" : "connection lost: " + textOf(lost.failure());
            ready = next != null && !next.link().isOver();
            if (!ready) {
                next = null;
                set(Kind.BEHIND, why);
            }
            leftovers = List.of();
            for (TopicEntry entry : topics.values()) {
                if (entry.state == State.ACTIVE && !(ready && next.topics().contains(entry))) {
                    if (wasOpen) {
                        entry.miss(System.currentTimeMillis() - options.serverTimeout.toMillis(), "reconnect");
                    }
                    set(entry, State.PENDING, why);
                }
                entry.due = entry.failures = 0;
            }
            notices.forEach(this::lose);
            notices.clear();
        }
        flush();
        return ready;
    }

    private void end(String reason) {
        synchronized (this) {
            stopping = true;
            set(Kind.GONE, reason);
            topics.values().forEach(entry -> set(entry, State.ENDED, reason));
        }
        started.completeExceptionally(new IllegalStateException("the client is gone: " + reason));
        flush();
    }

    private void show(String reason) {
        set(Kind.BEHIND, reason);
        flush();
    }

    /** The caller flushes. */
    private synchronized void set(Kind kind, String reason) {
        if (state.kind() == Kind.GONE || state.kind() == kind && state.reason().equals(reason)) {
            return;
        }
        ClientState next = new ClientState(kind, state.kind() == kind ? state.since() : Instant.now(), reason);
        state = next;
        stateHandlers.forEach(handler -> calls.add(() -> handler.accept(next)));
    }

    /** The caller flushes. */
    private synchronized void set(TopicEntry entry, State next, String reason) {
        if (entry.state == next && entry.reason.equals(reason)) {
            return;
        }
        entry.state = next;
        entry.reason = reason;
        entry.subscriptions.forEach(this::changed);
    }

    /** The caller flushes. */
    synchronized void changed(RteSubscription<?> subscription) {
        calls.add(subscription::complete);
    }

    /** Does what is due on a connection until it ends. It alone subscribes and unsubscribes. */
    private void serve(Link current) throws InterruptedException {
        while (!current.isOver()) {
            synchronized (this) {
                work = false;
            }
            long pause = step(current);
            flush();
            if (!current.isOver()) {
                await(Math.min(pause, current.check()));
            }
        }
    }

    /** Does one thing. Returns the time until the next one in milliseconds; 0: at once. */
    private long step(Link current) {
        List<TopicEntry> batch;
        JsonObject notice = null;
        boolean fence = false;
        String method = "Unsubscribe";
        prepareNext(current);
        synchronized (this) {
            batch = leftovers;
            leftovers = List.of();
        }
        if (!batch.isEmpty()) {
            unsubscribe(current, batch);
            return 0;
        }
        synchronized (this) {
            List<TopicEntry> unused = topics.values().stream().filter(entry -> entry.subscriptions.isEmpty()).toList();
            unused.forEach(entry -> {
                topics.remove(entry.topic.key());
                missed.remove(entry);
            });
            batch = unused.stream().filter(entry -> entry.state == State.ACTIVE).toList();
            if (unused.isEmpty()) {
                notice = notices.poll();
            }
            if (unused.isEmpty() && notice == null) {
                method = "Subscribe";
                batch = cut(topics.values().stream()
                    .filter(entry -> entry.state == State.PENDING && entry.due <= now()).toList());
                fence = batch.isEmpty() && snapshotsUnderWay;
                if (batch.isEmpty() && !fence) {
                    return rest();
                }
                if (!batch.isEmpty() && state.kind() == Kind.RIGHT) {
                    set(Kind.BEHIND, "subscribing");
                }
                snapshotsUnderWay &= !fence;
            }
        }
        flush();
        if (notice != null) {
            recover(current, notice);
        } else if (fence) {
            // The server answers the next call when the client has taken the snapshots.
            current.call(String[].class, "AvailableSubscriptions");
        } else if (method.equals("Subscribe")) {
            subscribe(current, batch);
        } else {
            unsubscribe(current, batch);
        }
        return 0;
    }

    /** Shows the state while there is nothing to do. Returns the time until there is. */
    private synchronized long rest() {
        long now = now();
        long next = now + 60_000;
        if (!missed.isEmpty() && !reloading && reloadDue <= now) {
            reloading = true;
            Map<TopicEntry, Long> all = missed;
            missed = new LinkedHashMap<>();
            Thread thread = new Thread(() -> reload(all, missedReason), "rte-reload");
            thread.setDaemon(true);
            thread.start();
        }
        TopicEntry pending = null;
        for (TopicEntry entry : topics.values()) {
            if (entry.state == State.PENDING) {
                pending = pending == null ? entry : pending;
                next = Math.min(next, entry.due);
            }
        }
        if (!missed.isEmpty()) {
            next = Math.min(next, Math.max(reloadDue, now + 1));
        }
        if (pending != null) {
            set(Kind.BEHIND, pending.reason);
        } else if (reloading) {
            set(Kind.BEHIND, "reloading");
            next = now + 60_000;
        } else if (missed.isEmpty()) {
            set(Kind.RIGHT, "");
        }
        return Math.max(1, next - now);
    }

    private synchronized List<TopicEntry> cut(List<TopicEntry> entries) {
        int bytes = 0;
        for (int i = 0; i < entries.size(); i++) {
            bytes += entries.get(i).bytes;
            if (i > 0 && (i >= batchItems || bytes > batchBytes)) {
                return entries.subList(0, i);
            }
        }
        return entries;
    }

    private static Object items(List<TopicEntry> batch) {
        return batch.stream().map(entry -> entry.item).toList();
    }

    private void subscribe(Link current, List<TopicEntry> batch) {
        JsonArray results;
        try {
            results = current.call(JsonArray.class, "Subscribe", items(batch));
        } catch (RuntimeException error) {
            if (!current.isOver()) {
                batch.forEach(entry -> postpone(entry, textOf(error)));
            }
            return;
        }
        if (current.isOver()) {
            return;
        }
        synchronized (this) {
            List<String> codes = new ArrayList<>();
            for (int i = 0; i < batch.size(); i++) {
                codes.add(i < results.size() ? codeOf(results.get(i).getAsJsonObject()) : "unavailable");
            }
            int limit = codes.indexOf("limit");
            // Either the call had too many items, or there are too many subscriptions: the rest in another call shows it.
            if (limit >= 0) {
                batchItems = limit > 0 ? Math.min(batchItems, limit) : mostItems;
            }
            for (int i = 0; i < batch.size(); i++) {
                TopicEntry entry = batch.get(i);
                switch (codes.get(i)) {
                    case "ok" -> grant(entry);
                    case "unavailable" -> postpone(entry, "Temporarily unavailable");
                    default -> {
                        if (codes.get(i).equals("limit") && limit > 0) {
                            entry.due = 0;
                            continue;
                        }
                        String trace = Access.text(results.get(i).getAsJsonObject(), "traceId");
                        entry.traceId = trace == null ? "" : trace;
                        set(entry, State.REFUSED, codes.get(i));
                    }
                }
            }
        }
    }

    /** Servers without notices send no codes. */
    private static String codeOf(JsonObject result) {
        if (result.get("subscribed").getAsBoolean()) {
            return "ok";
        }
        String code = Access.text(result, "code");
        code = code == null ? Access.text(result, "message") : code;
        return code == null || code.equals("Temporarily unavailable") ? "unavailable" : code;
    }

    private synchronized void grant(TopicEntry entry) {
        entry.failures = 0;
        snapshotsUnderWay |= entry.keys != null;
        if (entry.gapSince != null) {
            mustReload(entry, entry.gapSince, entry.gapReason);
        }
        entry.gapSince = null;
        set(entry, State.ACTIVE, "");
    }

    private synchronized void postpone(TopicEntry entry, String why) {
        entry.due = now() + RteClientOptions.defaultRetryDelay(++entry.failures);
        set(entry, State.PENDING, why);
    }

    private void unsubscribe(Link current, List<TopicEntry> entries) {
        for (List<TopicEntry> rest = entries; !rest.isEmpty() && !current.isOver(); ) {
            List<TopicEntry> batch = cut(rest);
            rest = rest.subList(batch.size(), rest.size());
            current.call(JsonArray.class, "Unsubscribe", items(batch));
        }
    }

    /** Has the states sent again that a loss may concern, and notes what the application has to reload. */
    private void recover(Link current, JsonObject notice) {
        String reason = notice.get("reason").getAsString();
        List<TopicEntry> again;
        synchronized (this) {
            if (reason.equals("unavailable")) {
                topics.values().forEach(entry -> entry.due = 0); // nothing was lost: the server can decide again
                return;
            }
            set(Kind.BEHIND, "events were lost: " + reason);
            again = lose(notice);
        }
        unsubscribe(current, again);
    }

    /** Notes a loss. Returns the topics that became pending: the server sends their states again. */
    private synchronized List<TopicEntry> lose(JsonObject notice) {
        String reason = notice.get("reason").getAsString();
        String from = Access.text(notice, "from");
        long since = from == null ? Long.MIN_VALUE : RteTime.parse(from).toInstant().toEpochMilli();
        List<TopicEntry> again = new ArrayList<>();
        for (TopicEntry entry : named(notice, topics.values())) {
            if (entry.state == State.ACTIVE && entry.keys == null) {
                mustReload(entry, since, reason);
            } else if (entry.state == State.ACTIVE) {
                again.add(entry);
                entry.due = 0;
                entry.miss(since, reason);
                set(entry, State.PENDING, reason);
            } else if (entry.state == State.PENDING) {
                entry.miss(since, reason);
            }
        }
        return again;
    }

    /** Returns the topics that a notice concerns: all, if it cannot name all. */
    private static List<TopicEntry> named(JsonObject notice, Collection<TopicEntry> entries) {
        Set<String> keys = new HashSet<>();
        JsonArray subscriptions = notice.getAsJsonArray("subscriptions");
        for (JsonElement each : subscriptions) {
            keys.add(topicOf(each.getAsJsonObject()).key());
        }
        boolean all = notice.get("total").getAsInt() > subscriptions.size();
        return entries.stream().filter(entry -> all || keys.contains(entry.topic.key())).toList();
    }

    private static Topic topicOf(JsonObject subscription) {
        return new Topic(subscription.get("entityId").getAsString(), subscription.get("eventType").getAsString());
    }

    private static String keyOf(JsonObject message) {
        return topicOf(message.getAsJsonObject("subscription")).key();
    }

    private synchronized void mustReload(TopicEntry entry, long since, String reason) {
        if (!reloads.isEmpty()) {
            missed.merge(entry, since, Math::min);
            missedReason = reason;
        }
    }

    private void reload(Map<TopicEntry, Long> lost, String reason) {
        long since = lost.values().stream().mapToLong(Long::longValue).min().orElse(Long.MIN_VALUE);
        Discontinuity discontinuity = new Discontinuity(reason,
            since == Long.MIN_VALUE ? null : Instant.ofEpochMilli(since),
            lost.keySet().stream().map(entry -> entry.topic).toList());
        Exception failure = null;
        try {
            for (Discontinuity.Reload each : reloads) {
                each.reload(discontinuity);
            }
        } catch (Exception error) {
            failure = error;
            options.onError.accept(error);
        }
        synchronized (this) {
            if (failure == null) {
                reloadFailures = 0;
                reloadDue = 0;
            } else {
                lost.forEach((entry, start) -> {
                    if (!entry.subscriptions.isEmpty()) {
                        mustReload(entry, start, reason);
                    }
                });
                reloadDue = now() + RteClientOptions.defaultRetryDelay(reloadFailures++);
            }
            reloading = false;
            wake();
        }
    }

    private void receive(Link from, JsonObject message) {
        synchronized (this) {
            if (from.waiting == null) {
                take(message);
            } else if (from.waiting.size() < MAX_WAITING) {
                from.waiting.add(message);
            } else {
                from.end(new IllegalStateException("too many events wait"));
            }
        }
        flush();
    }

    /** The caller flushes. */
    private synchronized void take(JsonObject message) {
        JsonObject data = message.getAsJsonObject("data");
        Topic topic = topicOf(message.getAsJsonObject("subscription"));
        String name = topic.eventName().toLowerCase(Locale.ROOT);
        RteEvent event;
        try {
            event = GSON.fromJson(data, RteEvents.TYPES.getOrDefault(name, RteEvent.class));
        } catch (JsonParseException error) {
            String why = "an event " + name + " does not fit its class: " + textOf(error);
            calls.add(() -> options.onError.accept(new IllegalArgumentException(why, error)));
            return;
        }
        event.json = data;
        TopicEntry entry = topics.get(topic.key());
        if (entry == null || entry.subscriptions.isEmpty() || isDuplicate(entry, event)) {
            return;
        }
        entry.subscriptions.forEach(each -> calls.add(() -> each.handle(event)));
        for (String key : List.of(name, "")) {
            handlers.getOrDefault(key, List.of()).forEach(handler -> calls.add(() -> handler.accept(event)));
        }
    }

    /** Reports whether the topic had this event before. A snapshot may be the state that the client has. */
    private synchronized boolean isDuplicate(TopicEntry entry, RteEvent event) {
        String key = entry.idOf(event.id);
        if (event.id != null && seen.contains(key) || !entry.keep(event)) {
            return true;
        }
        if (event.id != null) {
            seen.add(key);
            if (seen.size() > MAX_SEEN) {
                seen.remove(seen.iterator().next());
            }
        }
        return false;
    }

    /** Ends what the server no longer allows. If it does not name all, subscribing again shows which. */
    private void drop(JsonObject notice) {
        synchronized (this) {
            String code = notice.get("code").getAsString();
            boolean some = notice.get("total").getAsInt() > notice.getAsJsonArray("subscriptions").size();
            notice.addProperty("total", 0);
            named(notice, topics.values()).forEach(entry -> set(entry, State.ENDED, code));
            for (TopicEntry entry : topics.values()) {
                if (some && entry.state == State.ACTIVE) {
                    set(entry, State.PENDING, code);
                }
            }
            wake();
        }
        flush();
    }

    static String textOf(Throwable failure) {
        return failure == null ? "" : failure.getMessage() == null ? failure.toString() : failure.getMessage();
    }
}
