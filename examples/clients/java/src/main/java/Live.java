import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.HubConnectionState;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Single;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;

/** Prints the status of all queues of the demo call centre, and each change. */
public final class Live {
    private static final String SERVER = Optional.ofNullable(System.getenv("RTE_SERVER")).orElse("http://127.0.0.1:8080");
    private static final HttpClient WEB = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        List<Map<String, String>> wanted = new ArrayList<>();
        for (JsonElement entity : fetch("/demo/entities").getAsJsonArray()) {
            if (entity.getAsJsonObject().get("entityType").getAsString().equals("Queue")) {
                String id = entity.getAsJsonObject().get("entityId").getAsString();
                wanted.add(Map.of("EntityId", id, "EventName", "QueueStatus"));
            }
        }
        // Microsoft's Java client does not reconnect by itself.
        for (int failures = 0; ; failures++) {
            long began = System.nanoTime();
            try {
                connectOnce(wanted);
                System.out.println("behind: the connection has ended");
            } catch (Exception failure) {
                System.out.println("behind: " + failure.getMessage());
            }
            if (System.nanoTime() - began > 10_000_000_000L) {
                failures = 0;
            }
            // Random: many clients lose their connections at the same time.
            Thread.sleep((long) (Math.min(30_000, 1000 << Math.min(failures, 5)) * (0.5 + Math.random() / 2)));
        }
    }

    /** Connects and subscribes. It returns when the connection has ended. */
    private static void connectOnce(List<Map<String, String>> wanted) throws Exception {
        HubConnection hub = HubConnectionBuilder.create(SERVER + "/rte?features=snapshot")
            .withTransport(TransportEnum.WEBSOCKETS)
            .withAccessTokenProvider(Single.fromCallable(
                () -> fetch("/token/me/rte/").getAsJsonObject().get("Token").getAsString())) // for each connection
            .build();
        CountDownLatch ended = new CountDownLatch(1);
        hub.onClosed(failure -> ended.countDown());
        hub.on("MessageReceived", message -> {
            JsonObject queue = message.getAsJsonObject("data");
            System.out.println(queue.get("queueName").getAsString() + ": " + queue.get("nbrOfQueuingRequesters") + " wait");
        }, JsonObject.class);
        try {
            hub.start().blockingAwait();
            List<Map<String, String>> items = wanted;
            while (!items.isEmpty() && hub.getConnectionState() == HubConnectionState.CONNECTED) {
                List<Map<String, String>> again = new ArrayList<>();
                JsonArray results = hub.invoke(JsonArray.class, "Subscribe", items).blockingGet();
                for (int i = 0; i < items.size(); i++) {
                    JsonObject result = results.get(i).getAsJsonObject();
                    if (!result.get("subscribed").getAsBoolean()) {
                        System.out.println(result.get("entityId") + ": " + result.get("message"));
                        if (result.get("message").getAsString().equals("Temporarily unavailable")) {
                            again.add(items.get(i));
                        }
                    }
                }
                items = again;
                Thread.sleep(items.isEmpty() ? 0 : 5000);
            }
            ended.await();
        } finally {
            hub.stop();
        }
    }

    private static JsonElement fetch(String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(SERVER + path)).build();
        return JsonParser.parseString(WEB.send(request, BodyHandlers.ofString()).body());
    }
}
