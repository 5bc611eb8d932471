// A hub on ASP.NET Core SignalR, built as its documentation teaches it: one hub, and a group for each topic.
// Subscribe adds
// the connection to groups, and an event goes to its group. Logging is off; everything else has default settings.
//
//   dotnet Aspnet.dll CLIENTS EVENTS [REDIS]
//
// The arguments are addresses, as host:port: for clients, for events by the protocol of bench/ingest, and of Redis,
// through
// which events then go to all nodes.

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR;

var builder = WebApplication.CreateBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://" + args[0]);
var signalr = builder.Services.AddSignalR();
if (args.Length > 2)
{
    signalr.AddStackExchangeRedis(args[2]);
}

var app = builder.Build();
app.MapHub<Rte>("/rte");
await app.StartAsync();
var listener = new TcpListener(IPEndPoint.Parse(args[1]));
listener.Start();
_ = AcceptAsync();
await app.WaitForShutdownAsync();

async Task AcceptAsync()
{
    while (true)
    {
        _ = ReceiveAsync(await listener.AcceptTcpClientAsync());
    }
}

// ReceiveAsync sends the events of a publisher to their groups, until the publisher closes its connection.
async Task ReceiveAsync(TcpClient publisher)
{
    using var _ = publisher;
    publisher.NoDelay = true;
    var hub = app.Services.GetRequiredService<IHubContext<Rte>>();
    await using var stream = new BufferedStream(publisher.GetStream(), 64 << 10);
    var size = new byte[4];
    try
    {
        while (true)
        {
            for (var events = await SizeAsync(); events > 0; events--)
            {
                var channel = Encoding.UTF8.GetString(await PartAsync());
                var message = JsonSerializer.Deserialize<JsonElement>(await PartAsync());
                await hub.Clients.Group(channel).SendAsync("MessageReceived", message);
            }
            await publisher.GetStream().WriteAsync(new byte[] { 1 });
        }
    }
    catch (IOException)
    {
        // The publisher has gone.
    }

    async Task<uint> SizeAsync()
    {
        await stream.ReadExactlyAsync(size);
        return BinaryPrimitives.ReadUInt32LittleEndian(size);
    }

    async Task<byte[]> PartAsync()
    {
        var part = new byte[await SizeAsync()];
        await stream.ReadExactlyAsync(part);
        return part;
    }
}

public sealed class Rte : Hub
{
    public record EntitySubscription(string EntityId, string EventName);

    public record SubscriptionResult(bool Subscribed, string? Message, string EntityId, string EventName);

    public async Task<SubscriptionResult[]> Subscribe(EntitySubscription[] items)
    {
        var results = new SubscriptionResult[items.Length];
        for (var i = 0; i < items.Length; i++)
        {
            var name = items[i].EventName.ToLowerInvariant();
            await Groups.AddToGroupAsync(Context.ConnectionId, items[i].EntityId + "." + name);
            results[i] = new SubscriptionResult(true, null, items[i].EntityId, name);
        }
        return results;
    }
}
