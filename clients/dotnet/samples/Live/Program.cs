using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using RteServer.Client;

using var http = new HttpClient { BaseAddress = new Uri(args.FirstOrDefault() ?? "http://127.0.0.1:8080") };

await using var client = new RteClient(new RteClientOptions
{
    Url = new Uri(http.BaseAddress, "/rte"),
    // Called for every attempt to connect.
    AccessToken = async stop =>
        (await http.GetFromJsonAsync<JsonElement>("/token/me/rte/", stop)).GetProperty("Token").GetString(),
});
client.On<QueueStatus>(queue =>
    Console.WriteLine($"{queue.QueueName}: {queue.NbrOfQueuingRequesters} wait, {queue.NbrOfConnected} talk"));
client.StateChanged += state => Console.WriteLine(state);
client.BindingFailed += failure => Console.Error.WriteLine($"{failure.EventName}: {failure.Exception.Message}");
await client.StartAsync();

var entities = await http.GetFromJsonAsync<JsonArray>("/demo/entities");
var queues = entities!.Where(entity => (string?)entity!["entityType"] == "Queue")
    .Select(entity => new EntitySubscription((string)entity!["entityId"]!, RteEvents.QueueStatus));
foreach (var result in await client.SubscribeAsync(queues))
{
    if (!result.Subscribed)
    {
        Console.Error.WriteLine($"{result.EventName} of {result.EntityId}: {result.Message}");
    }
}
Console.ReadLine();
