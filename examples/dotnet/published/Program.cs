// The C# sample of the published API: its classes as they stand, its names, and what it does with them. Around it is
// what a program needs: where to connect, and a hub protocol.
//
//   dotnet Published.dll URL TOKEN PROTOCOL USER QUEUE
//
// It prints what Subscribe returned, then a line for each message, and ends with its standard input.

using System.Text.Json;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

var (rteUrl, RTEToken, protocol) = (args[0], args[1], args[2]);

var builder = new HubConnectionBuilder()
    .WithUrl(rteUrl, options =>
    {
        options.Transports = Microsoft.AspNetCore.Http.Connections.HttpTransportType.WebSockets;
        options.AccessTokenProvider = () => Task.FromResult(RTEToken);
    });
var RTEHubConnection = (protocol == "messagepack" ? builder.AddMessagePackProtocol() : builder).Build();

// The page writes message.subscription and message.data here, which does not compile.
RTEHubConnection.On<RTEMessage>("MessageReceived", (message) =>
{
    RTE_Message_Received(message.Subscription, message.Data);
});

await RTEHubConnection.StartAsync();

ClientSubscriptionModel[] subscriptions = new ClientSubscriptionModel[2];
subscriptions[0] = new ClientSubscriptionModel
{
    EntityId = args[3],
    EventName = "UserAvailability"
};

subscriptions[1] = new ClientSubscriptionModel
{
    EntityId = args[4],
    EventName = "UserCallIncoming"
};

var results = await RTEHubConnection.InvokeAsync<object>("Subscribe", subscriptions);
Console.WriteLine("subscribed " + JsonSerializer.Serialize(results));

Console.In.ReadToEnd();

void RTE_Message_Received(ClientSubscriptionModel subscription, dynamic payload)
{
    // dynamic is what the hub protocol makes of the event: a JsonElement with names in camel case, or with MessagePack
    // a dictionary with names in Pascal case.
    string note = protocol == "messagepack" ? payload["Note"] : payload.GetProperty("note").GetString();
    Console.WriteLine($"received {subscription.EntityId} {note}");
}

public class ClientSubscriptionModel
{
    public string EntityId { get; set; }
    public string EventName { get; set; }
}

public class RTEMessage
{
    public ClientSubscriptionModel Subscription { get; set; }
    public dynamic Data { get; set; }
}
