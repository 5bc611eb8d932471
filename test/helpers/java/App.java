import com.github.rteserver.client.Access;
import com.github.rteserver.client.Discontinuity;
import com.github.rteserver.client.RteClient;
import com.github.rteserver.client.RteClientOptions;
import com.github.rteserver.client.RteEvents.QueueStatus;
import com.github.rteserver.client.RteEvents.RteEvent;
import com.github.rteserver.client.RteEvents.UserCallInArrived;
import com.github.rteserver.client.RteEvents.UserStatus;
import com.github.rteserver.client.RteSubscription;
import com.github.rteserver.client.Topic;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;

/** The application of ../node/view.mjs with the helper for Java: java App TOKEN_URL TRUTH_URL. */
public final class App {
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();
    private static final HttpClient WEB = HttpClient.newHttpClient();

    private final String truthUrl;
    private final RteClient client;
    // The lock of the application guards the following fields.
    private final List<String> reasons = new ArrayList<>();
    private final List<String> states = new ArrayList<>();
    private final List<String> errors = new ArrayList<>();
    private final List<Object> discontinuities = new ArrayList<>();
    private final Map<String, TreeSet<Integer>> calls = new TreeMap<>(); // numbers of events by topic
    private final Map<String, Integer> delivered = new HashMap<>();
    private final Map<String, RteSubscription<RteEvent>> subscriptions = new LinkedHashMap<>();

    private App(String tokenUrl, String truthUrl) {
        this.truthUrl = truthUrl;
        client = new RteClient(new RteClientOptions(reason -> {
            synchronized (this) {
                reasons.add(reason);
            }
            return Access.parse(fetch(tokenUrl + "?reason=" + reason));
        }).serverTimeout(Duration.ofSeconds(4)).onError(error -> {
            synchronized (this) {
                errors.add(error.toString());
            }
        }).retryDelay(failures -> ThreadLocalRandom.current().nextLong(1 + Math.min(1000, 100L << Math.min(failures, 5)))));
        client.on(UserStatus.class, event -> receive(event, event.parkedCalls));
        client.on(QueueStatus.class, event -> receive(event, event.nbrOfRequesters));
        client.on(UserCallInArrived.class, event -> receive(event, Integer.parseInt(event.callerNumber)));
        client.onState(state -> {
            synchronized (this) {
                states.add(nameOf(state.kind()) + ": " + state.reason());
            }
        });
        client.onDiscontinuity(this::reload);
    }

    private static String fetch(String url) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30)).build();
        return WEB.send(request, BodyHandlers.ofString()).body();
    }

    private static String nameOf(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static String nameOf(Topic topic) {
        return topic.entityId() + " " + topic.eventName();
    }

    private synchronized int last(String name) {
        return calls.containsKey(name) ? calls.get(name).last() : 0;
    }

    private synchronized void add(String name, int number) {
        calls.computeIfAbsent(name, key -> new TreeSet<>()).add(number);
    }

    private synchronized void receive(RteEvent event, int number) {
        String name = event.entityId + " " + event.eventType;
        delivered.merge(name + " " + number, 1, Integer::sum);
        if (event instanceof UserCallInArrived && number < last(name) && !calls.get(name).contains(number)) {
            errors.add(name + " " + number + " came after " + last(name));
        }
        add(name, number);
    }

    private void reload(Discontinuity discontinuity) throws Exception {
        synchronized (this) {
            Map<String, Integer> shown = new HashMap<>();
            discontinuity.topics().forEach(topic -> shown.put(nameOf(topic), last(nameOf(topic))));
            Map<String, Object> entry = new HashMap<>();
            entry.put("reason", discontinuity.reason());
            entry.put("from", discontinuity.from() == null ? null : discontinuity.from().toString());
            entry.put("shown", shown);
            discontinuities.add(entry);
        }
        JsonObject truth = JsonParser.parseString(fetch(truthUrl)).getAsJsonObject();
        for (Topic topic : discontinuity.topics()) {
            if (truth.has(nameOf(topic))) {
                truth.getAsJsonArray(nameOf(topic)).forEach(number -> add(nameOf(topic), number.getAsInt()));
            }
        }
    }

    private Object run(JsonObject command) throws Exception {
        List<Topic> topics = new ArrayList<>();
        for (JsonElement each : command.has("topics") ? command.getAsJsonArray("topics") : new JsonArray()) {
            JsonObject topic = each.getAsJsonObject();
            topics.add(new Topic(topic.get("entityId").getAsString(), topic.get("eventName").getAsString()));
        }
        switch (command.get("do").getAsString()) {
            case "start":
                client.start();
                return null;
            case "subscribe":
                for (Topic topic : topics) {
                    RteSubscription<RteEvent> subscription =
                        client.subscribe(topic.entityId(), topic.eventName(), event -> { });
                    synchronized (this) {
                        subscriptions.put(nameOf(topic), subscription);
                    }
                }
                return null;
            case "unsubscribe":
                for (Topic topic : topics) {
                    subscriptions.get(nameOf(topic)).unsubscribe();
                }
                return null;
            case "again":
                List<Integer> got = new ArrayList<>();
                RteSubscription<QueueStatus> part = client.subscribe(
                    topics.get(0).entityId(), QueueStatus.class, event -> got.add(event.nbrOfRequesters));
                part.ready().get();
                part.unsubscribe();
                return got;
            case "active":
                return client.activeSubscriptions().size();
            default:
                return see();
        }
    }

    private synchronized Object see() {
        Map<String, Object> view = new HashMap<>();
        view.put("state", nameOf(client.state().kind()));
        view.put("reason", client.state().reason());
        view.put("reasons", reasons);
        view.put("states", states);
        view.put("errors", errors);
        view.put("discontinuities", discontinuities);
        view.put("calls", calls);
        Map<String, Integer> last = new HashMap<>();
        calls.keySet().forEach(name -> last.put(name, last(name)));
        view.put("last", last);
        view.put("twice", delivered.keySet().stream().filter(key -> delivered.get(key) > 1).toList());
        Map<String, String> named = new HashMap<>();
        subscriptions.forEach((name, each) -> named.put(name, (nameOf(each.state()) + " " + each.reason()).trim()));
        view.put("subscriptions", named);
        return view;
    }

    private void answer(JsonObject command) {
        Map<String, Object> line = new HashMap<>();
        line.put("id", command.get("id").getAsInt());
        try {
            line.put("result", run(command));
        } catch (Exception error) {
            line.put("error", error.toString());
        }
        String text;
        synchronized (this) {
            text = GSON.toJson(line);
        }
        synchronized (System.out) {
            System.out.println(text);
        }
    }

    /** Ends by itself: neither the helper nor this leaves a thread that keeps the process. */
    public static void main(String[] args) throws Exception {
        App app = new App(args[0], args[1]);
        ExecutorService commands = Executors.newSingleThreadExecutor(); // in order
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonObject command = JsonParser.parseString(line).getAsJsonObject();
            commands.execute(() -> app.answer(command));
        }
        commands.shutdown();
        app.client.close();
    }
}
