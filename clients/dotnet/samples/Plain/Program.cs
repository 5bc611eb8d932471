using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.SignalR.Client;

using var http = new HttpClient { BaseAddress = new Uri(args.FirstOrDefault() ?? "http://127.0.0.1:8080") };
var entities = await http.GetFromJsonAsync<JsonArray>("/demo/entities");
var wanted = entities!.Where(entity => (string?)entity!["entityType"] == "Queue")
    .Select(entity => new Item((string)entity!["entityId"]!, "QueueStatus")).ToArray();

var connection = new HubConnectionBuilder()
    .WithUrl(new Uri(http.BaseAddress, "/rte?features=snapshot"), options =>
        options.AccessTokenProvider = async () =>
            (await http.GetFromJsonAsync<JsonElement>("/token/me/rte/")).GetProperty("Token").GetString())
    .WithAutomaticReconnect(new WithoutEnd())
    .Build();

// The name counts case-sensitively. The handler has exactly one argument.
connection.On<Message>("MessageReceived", message =>
    Console.WriteLine($"{message.Data!.QueueName}: {message.Data.NbrOfQueuingRequesters} wait"));
// A new connection has no subscriptions.
connection.Reconnected += _ => SubscribeAsync(wanted);
// The server has ended the connection for good, for instance because the token was revoked.
connection.Closed += failure =>
{
    Console.Error.WriteLine($"closed: {failure?.Message}");
    return Task.CompletedTask;
};
await connection.StartAsync();
await SubscribeAsync(wanted);
Console.ReadLine();

async Task SubscribeAsync(Item[] items)
{
    while (items.Length > 0)
    {
        var results = await connection.InvokeAsync<Result[]>("Subscribe", items);
        foreach (var result in results.Where(result => !result.Subscribed))
        {
            Console.Error.WriteLine($"{result.EventName} of {result.EntityId}: {result.Message}");
        }
        items = items.Where((_, i) => results[i].Message == "Temporarily unavailable").ToArray();
        await Task.Delay(items.Length > 0 ? 2000 : 0);
    }
}

public record Item(string EntityId, string EventName);

public record Result(bool Subscribed, string? Message, string EntityId, string EventName);

public record Message(QueueStatus? Data);

public record QueueStatus(string? QueueName, int NbrOfQueuingRequesters);

/// <summary>The stock policy gives up after 42 seconds.</summary>
public sealed class WithoutEnd : IRetryPolicy
{
    public TimeSpan? NextRetryDelay(RetryContext context) =>
        TimeSpan.FromSeconds(Math.Min(30, Math.Pow(2, context.PreviousRetryCount)) * Random.Shared.NextDouble());
}
