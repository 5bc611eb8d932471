import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.HttpHubConnectionBuilder;
import com.microsoft.signalr.HubProtocol;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Single;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Microsoft's Java client. See ../../../../doc.go for the commands. */
public final class Adapter {
    private static final String MESSAGE_PACK = "com.microsoft.signalr.messagepack.MessagePackHubProtocol";
    private static final Gson GSON = new GsonBuilder().serializeNulls().create();

    private final Map<Long, HubConnection> connections = new ConcurrentHashMap<>();

    public static void main(String[] args) throws Exception {
        tell(Map.of("protocols", hasMessagePack() ? List.of("json", "messagepack") : List.of("json")));
        Adapter adapter = new Adapter();
        // Commands of different connections do not wait for each other.
        ExecutorService commands = Executors.newCachedThreadPool();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonObject command = JsonParser.parseString(line).getAsJsonObject();
            commands.execute(() -> tell(adapter.answer(command)));
        }
        System.exit(0);
    }

    private Map<String, Object> answer(JsonObject command) {
        long id = command.get("id").getAsLong();
        try {
            Object result = run(command);
            return result == null ? Map.of("id", id) : Map.of("id", id, "result", result);
        } catch (Throwable failure) {
            String text = failure.getMessage() == null ? failure.toString() : failure.getMessage();
            return Map.of("id", id, "error", text);
        }
    }

    private Object run(JsonObject command) throws Exception {
        long number = command.get("connection").getAsLong();
        switch (command.get("do").getAsString()) {
            case "open":
                open(number, command);
                return null;
            case "invoke":
                JsonArray encoded = command.getAsJsonArray("args");
                Object[] args = new Object[encoded.size()];
                for (int i = 0; i < args.length; i++) {
                    args[i] = GSON.fromJson(encoded.get(i), Object.class);
                }
                return connections.get(number).invoke(Object.class, command.get("target").getAsString(), args).blockingGet();
            default:
                connections.get(number).stop().blockingAwait();
                return null;
        }
    }

    private void open(long number, JsonObject options) throws Exception {
        String token = options.get("token").getAsString();
        HttpHubConnectionBuilder builder = HubConnectionBuilder.create(options.get("url").getAsString())
            .withTransport(options.has("transport") ? TransportEnum.LONG_POLLING : TransportEnum.WEBSOCKETS)
            .withAccessTokenProvider(Single.defer(() -> Single.just(token)));
        if (options.has("skipNegotiation")) {
            builder.shouldSkipNegotiate(true);
        }
        if (options.get("protocol").getAsString().equals("messagepack")) {
            builder.withHubProtocol((HubProtocol) Class.forName(MESSAGE_PACK).getConstructor().newInstance());
        }
        HubConnection connection = builder.build();
        connection.on("MessageReceived",
            message -> tell(Map.of("connection", number, "event", "message", "message", message)), Object.class);
        connection.onClosed(failure -> tell(Map.of("connection", number, "event", "closed",
            "error", failure == null ? "" : failure.getMessage())));
        connection.start().blockingAwait();
        connections.put(number, connection);
    }

    private static boolean hasMessagePack() {
        try {
            Class.forName(MESSAGE_PACK);
            return true;
        } catch (ClassNotFoundException missing) {
            return false;
        }
    }

    private static void tell(Map<String, Object> line) {
        synchronized (System.out) {
            System.out.println(GSON.toJson(line));
            System.out.flush();
        }
    }
}
