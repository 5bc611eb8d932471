import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import redis.clients.jedis.RedisClient;

/** Publishes the status of a user to Redis. */
public final class Publish {
    public static void main(String[] args) {
        String organization = environment("ORGANIZATION", "0d000000-0000-4000-8000-000000000001");
        String user = environment("USER_ID", "0d000000-0000-4000-8000-000000000102");
        UUID id = UUID.randomUUID();
        String event = """
            {"Id":"%s","RootEntityType":"Organization","RootEntityId":"%2$s","OrganizationId":"%2$s",\
            "EntityType":"User","EntityId":"%3$s","EventType":"UserStatus","UserId":"%3$s",\
            "CanBeAllocatedTo":false,"Talking":true,"Available":true,"Schedule":true,"Serving":true,\
            "ServiceTerminals":1,"ActiveQueues":2,"ParkedCalls":0,"ServingCallback":false,"FetchMode":false,\
            "Timestamp":"%4$s","MessageTTLSeconds":60}""".formatted(id, organization, user, Instant.now());
        try (RedisClient redis = RedisClient.create(environment("REDIS_URL", "redis://127.0.0.1:6379"))) {
            redis.publish("rte:org:" + organization, event);
        }
        System.out.println("published " + id);
    }

    private static String environment(String name, String otherwise) {
        return Optional.ofNullable(System.getenv(name)).orElse(otherwise);
    }
}
