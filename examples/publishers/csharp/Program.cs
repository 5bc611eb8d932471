// Publishes the status of a user to Redis.
using System.Text.Json;
using StackExchange.Redis;

var organization = Environment.GetEnvironmentVariable("ORGANIZATION") ?? "0d000000-0000-4000-8000-000000000001";
var user = Environment.GetEnvironmentVariable("USER_ID") ?? "0d000000-0000-4000-8000-000000000102";
var id = Guid.NewGuid();
var text = JsonSerializer.Serialize(new
{
    Id = id,
    RootEntityType = "Organization", RootEntityId = organization, OrganizationId = organization,
    EntityType = "User", EntityId = user, EventType = "UserStatus", UserId = user,
    CanBeAllocatedTo = false, Talking = true, Available = true, Schedule = true, Serving = true,
    ServiceTerminals = 1, ActiveQueues = 2, ParkedCalls = 0, ServingCallback = false, FetchMode = false,
    Timestamp = DateTime.UtcNow, MessageTTLSeconds = 60,
});
// StackExchange.Redis wants host:port,user=...,password=... instead of a URL.
using var redis = await ConnectionMultiplexer.ConnectAsync(
    Environment.GetEnvironmentVariable("REDIS_CONFIGURATION") ?? "127.0.0.1:6379");
await redis.GetSubscriber().PublishAsync(RedisChannel.Literal("rte:org:" + organization), text);
Console.WriteLine($"published {id}");
