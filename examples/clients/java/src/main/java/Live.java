import com.github.rteserver.client.Access;
import com.github.rteserver.client.RteClient;
import com.github.rteserver.client.RteClientOptions;
import com.github.rteserver.client.RteEvents.QueueStatus;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Optional;

/** Prints the status of all queues of the demo call centre, and each change. */
public final class Live {
    private static final String SERVER = Optional.ofNullable(System.getenv("RTE_SERVER")).orElse("http://127.0.0.1:8080");
    private static final HttpClient WEB = HttpClient.newHttpClient();

    public static void main(String[] args) throws Exception {
        // The source of tokens returns a new one for each connection.
        RteClient client = new RteClient(new RteClientOptions(reason -> Access.parse(fetch("/token/me/rte/")))
            .onError(System.err::println));
        client.on(QueueStatus.class, queue -> System.out.println(queue.queueName + ": " + queue.nbrOfQueuingRequesters + " wait"));
        client.onState(state -> System.out.println(state.kind() + " " + state.reason()));
        client.onDiscontinuity(lost ->
            System.out.println(lost.topics().size() + " topics: fetch what they show from the REST API"));
        for (JsonElement each : JsonParser.parseString(fetch("/demo/entities")).getAsJsonArray()) {
            JsonObject entity = each.getAsJsonObject();
            if (entity.get("entityType").getAsString().equals("Queue")) {
                client.subscribe(entity.get("entityId").getAsString(), QueueStatus.class);
            }
        }
        client.start();
        Thread.currentThread().join();
    }

    private static String fetch(String path) throws Exception {
        return WEB.send(HttpRequest.newBuilder(URI.create(SERVER + path)).build(), BodyHandlers.ofString()).body();
    }
}
