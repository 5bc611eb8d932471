using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading.Channels;
using System.Threading.Tasks;
using MessagePack.Resolvers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace RteServer.Client.Tests;

/// <summary>A hub that answers as a test wants it to.</summary>
public sealed class FakeHub : IAsyncDisposable
{
    private readonly WebApplication app;

    private FakeHub(WebApplication app) => this.app = app;

    public Uri Url { get; private set; } = null!;

    /// <summary>The answer to an item of Subscribe; null: success.</summary>
    public Func<Item, string?> Refusal { get; set; } = _ => null;

    /// <summary>The sizes of all calls of Subscribe.</summary>
    public ConcurrentQueue<int> Batches { get; } = new();

    /// <summary>All calls, as "Subscribe QueueStatus".</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>The tokens of all connections.</summary>
    public ConcurrentQueue<string> Tokens { get; } = new();

    public ConcurrentDictionary<string, HubCallerContext> Connections { get; } = new();

    public static async Task<FakeHub> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSignalR(options =>
            options.MaximumReceiveMessageSize = 32 << 10).AddMessagePackProtocol(packed =>
            packed.SerializerOptions = packed.SerializerOptions.WithResolver(
                CompositeResolver.Create(RteMessagePackResolver.Instance, ContractlessStandardResolver.Instance)));
        FakeHub? hub = null;
        builder.Services.AddSingleton(_ => hub!);
        var app = builder.Build();
        hub = new FakeHub(app);
        app.MapHub<Methods>("/rte");
        await app.StartAsync();
        hub.Url = new Uri(app.Urls.First() + "/rte");
        return hub;
    }

    public Task SendAsync(string method, string json) => app.Services.GetRequiredService<IHubContext<Methods>>()
        .Clients.All.SendAsync(method, JsonSerializer.Deserialize<JsonElement>(json));

    public Task SendToAsync(string connection, string method, string json) =>
        app.Services.GetRequiredService<IHubContext<Methods>>()
            .Clients.Client(connection).SendAsync(method, JsonSerializer.Deserialize<JsonElement>(json));

    public Task SendEventAsync(string name, string data) => SendAsync("MessageReceived",
        $$"""{"subscription":{"id":"{{Guid.NewGuid()}}","eventType":"{{name}}"},"data":{{data}}}""");

    public void AbortAll()
    {
        foreach (var connection in Connections.Values)
        {
            connection.Abort();
        }
    }

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    public record Item(string EntityId, string EventName);

    public sealed class Methods(FakeHub fake) : Hub
    {
        public override Task OnConnectedAsync()
        {
            fake.Tokens.Enqueue(Context.GetHttpContext()!.Request.Headers.Authorization.ToString());
            fake.Connections[Context.ConnectionId] = Context;
            return Task.CompletedTask;
        }

        public override Task OnDisconnectedAsync(Exception? exception)
        {
            fake.Connections.TryRemove(Context.ConnectionId, out _);
            return Task.CompletedTask;
        }

        public object[] Subscribe(Item[] items)
        {
            fake.Batches.Enqueue(items.Length);
            return Answer("Subscribe", items, fake.Refusal);
        }

        public object[] Unsubscribe(Item[] items) => Answer("Unsubscribe", items, _ => null);

        private object[] Answer(string method, Item[] items, Func<Item, string?> refusal) => items.Select(item =>
        {
            fake.Calls.Enqueue(method + " " + item.EventName);
            var message = refusal(item);
            return (object)new SubscriptionResult
            {
                Subscribed = message == null, Message = message, EntityId = item.EntityId,
                    EventName = item.EventName.ToLowerInvariant(),
            };
        }).ToArray();
    }
}

/// <summary>What happened, for a test to wait for.</summary>
public sealed class Log
{
    private readonly Channel<string> lines = Channel.CreateUnbounded<string>();

    public void Add(string line) => lines.Writer.TryWrite(line);

    /// <summary>Waits for the next line.</summary>
    public Task<string> Next() => lines.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>Waits for a line that begins with a text, and drops those before it.</summary>
    public async Task<string> Expect(string begin)
    {
        var before = new List<string>();
        try
        {
            while (true)
            {
                var line = await lines.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));
                if (line.StartsWith(begin, StringComparison.Ordinal))
                {
                    return line;
                }
                before.Add(line);
            }
        }
        catch (TimeoutException)
        {
            var last = string.Join("; ", before.TakeLast(20));
            throw new TimeoutException($"waited in vain for \"{begin}\"; there was {last}");
        }
    }
}
