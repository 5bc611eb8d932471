// Microsoft's .NET client, driven by lines of JSON. See test/clients/doc.go for the commands.

using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

var http = new HttpClient();
var connections = new ConcurrentDictionary<long, HubConnection>();
var calls = new ConcurrentDictionary<long, CancellationTokenSource>();

#if ALL_PROTOCOLS
Tell(new { protocols = new[] { "json", "newtonsoft", "messagepack" } });
#else
// Version 1 writes JSON with Newtonsoft.Json. The packages of the other protocols are not part of the tests before 8.
Tell(new { protocols = new[] { "json" } });
#endif
while (Console.In.ReadLine() is { } line)
{
    var command = JsonNode.Parse(line)!.AsObject();
    // Not awaited: commands of different connections do not wait for each other.
    _ = Task.Run(() => Answer(command));
}

async Task Answer(JsonObject command)
{
    var id = command["id"]!.GetValue<long>();
    try
    {
        Tell(new { id, result = await Run(command) });
    }
    catch (Exception failure)
    {
        Tell(new { id, error = failure.Message });
    }
}

async Task<object?> Run(JsonObject command)
{
    var number = command["connection"]!.GetValue<long>();
    switch (command["do"]!.GetValue<string>())
    {
        case "open":
            connections[number] = await Open(number, command);
            return null;
        case "invoke":
            var target = command["target"]!.GetValue<string>();
            var args = command["args"]!.AsArray().Select(FromJson).ToArray();
            var call = command["call"]?.GetValue<long>() ?? 0;
            var canceled = calls[call] = new CancellationTokenSource();
            return ToJson(await connections[number].InvokeCoreAsync<object?>(target, args, canceled.Token));
        case "cancel":
            calls[command["call"]!.GetValue<long>()].Cancel();
            return null;
#if SIGNALR_11
        case "refresh":
            return (await connections[number].RefreshAuthenticationAsync())?.TotalSeconds;
#endif
        default:
            await connections[number].StopAsync();
            return null;
    }
}

async Task<HubConnection> Open(long number, JsonObject command)
{
    var token = command["token"]?.GetValue<string>();
    var source = command["tokenUrl"]?.GetValue<string>();
    IHubConnectionBuilder builder = new HubConnectionBuilder();
    builder = builder.WithUrl(command["url"]!.GetValue<string>(), options =>
    {
        // Asked for every request and every reconnect: an application fetches a fresh token here.
        options.AccessTokenProvider = async () => source == null ? token : await http.GetStringAsync(source);
        options.Transports = Enum.Parse<HttpTransportType>(command["transport"]?.GetValue<string>() ?? "WebSockets");
        options.SkipNegotiation = command["skipNegotiation"]?.GetValue<bool>() ?? false;
    });
#if ALL_PROTOCOLS
    // Both are packages of their own.
    builder = command["protocol"]!.GetValue<string>() switch
    {
        "messagepack" => builder.AddMessagePackProtocol(),
        "newtonsoft" => builder.AddNewtonsoftJsonProtocol(),
        _ => builder,
    };
    if (command["statefulReconnect"]?.GetValue<bool>() ?? false)
    {
        builder = builder.WithStatefulReconnect();
    }
#endif
#if !SIGNALR_1
    if (command["retryDelays"] is JsonArray delays)
    {
        builder = builder.WithAutomaticReconnect(
            delays.Select(delay => TimeSpan.FromMilliseconds(delay!.GetValue<int>())).ToArray());
    }
#endif
#if SIGNALR_11
    if (command["refreshBefore"] is { } before)
    {
        builder = builder.WithAuthenticationRefresh(options =>
            options.RefreshBeforeExpiration = TimeSpan.FromMilliseconds(before.GetValue<int>()));
    }
#endif
    var connection = builder.Build();
    // The name of the method counts case-sensitively, and its number of arguments as well.
    connection.On<object>("MessageReceived", message =>
        Tell(new { connection = number, @event = "message", message = ToJson(message) }));
#if !SIGNALR_1
    connection.Reconnecting += failure => TellEvent(number, "reconnecting", failure);
    // Subscriptions end with the connection: an application subscribes again here.
    connection.Reconnected += _ => TellEvent(number, "reconnected", null);
#endif
#if SIGNALR_11
    connection.AuthenticationRefreshed += _ => TellEvent(number, "refreshed", null);
    connection.AuthenticationRefreshFailed += context => TellEvent(number, "refreshFailed", context.Exception);
#endif
    connection.Closed += failure => TellEvent(number, "closed", failure);
    await connection.StartAsync();
    return connection;
}

Task TellEvent(long number, string name, Exception? failure)
{
    Tell(new { connection = number, @event = name, error = failure?.Message });
    return Task.CompletedTask;
}

void Tell(object line)
{
    var text = JsonSerializer.Serialize(line);
    lock (connections)
    {
        Console.Out.WriteLine(text);
        Console.Out.Flush();
    }
}

// FromJson is a value as an application has it: both protocols can write it.
static object? FromJson(JsonNode? node) => node switch
{
    null => null,
    JsonObject properties => properties.ToDictionary(property => property.Key, property => FromJson(property.Value)),
    JsonArray items => items.Select(FromJson).ToList(),
    _ => node.GetValueKind() switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => node.GetValue<double>(),
        _ => node.GetValue<string>(),
    },
};

// ToJson returns what was received as something that can be printed: System.Text.Json hands over a JsonElement,
// Newtonsoft.Json a JToken, MessagePack dictionaries with keys of any type.
static object? ToJson(object? value) => value switch
{
#if ALL_PROTOCOLS || SIGNALR_1
    // Not parsed again by its text alone: Newtonsoft.Json turns texts that look like times into DateTime.
    Newtonsoft.Json.Linq.JToken token => JsonNode.Parse(token.ToString(Newtonsoft.Json.Formatting.None)),
#endif
    IDictionary<object, object?> properties =>
        properties.ToDictionary(property => property.Key.ToString()!, property => ToJson(property.Value)),
    object?[] items => items.Select(ToJson).ToArray(),
    _ => value,
};
