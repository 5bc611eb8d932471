using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Xunit;

namespace RteServer.Client.Tests;

/// <summary>Tests against the built program, with either hub protocol.</summary>
public class ServerTests : IClassFixture<RteServerFixture>
{
    private readonly RteServerFixture server;
    private readonly Log log = new();

    public ServerTests(RteServerFixture server) => this.server = server;

    private RteClient Make(bool packed)
    {
        var client = new RteClient(new RteClientOptions
        {
            Url = server.Hub,
            AccessToken = server.TokenAsync,
            RetryPolicy = new RteRetryPolicy(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(500)),
            ConfigureConnection = builder =>
            {
                if (packed)
                {
                    builder.AddRteMessagePackProtocol();
                }
            },
        });
        client.StateChanged += state => log.Add(state.Kind + " " + state.Why);
        client.BindingFailed += failure => log.Add("cannot bind " + failure.Exception.Message);
        client.On<QueueStatus>((status, subscription) =>
            log.Add($"{status.QueueName} {status.NbrOfAllocated} {status.MaxWaitTime} {subscription.EntityType}"));
        return client;
    }

    private static async Task Right(RteClient client)
    {
        var deadline = DateTime.UtcNow.AddSeconds(30);
        for (; client.State.Kind != RteStateKind.Right; await Task.Delay(20))
        {
            Assert.True(DateTime.UtcNow < deadline, "the client is " + client.State);
        }
    }

    [Theory]
    [InlineData(false, "pascal")]
    [InlineData(true, "pascal")]
    [InlineData(true, "camel")]
    public async Task Server_isRestarted(bool packed, string keys)
    {
        await server.RestartAsync("--messagepack.keys=" + keys);
        await using var client = Make(packed);
        await client.StartAsync();
        var results = await client.SubscribeAsync(
            server.Queue, RteEvents.QueueStatus, RteEvents.QueueCallInArrived, RteEvents.UserStatus);
        Assert.Equal(new[] { "ok", "ok", "wrong_kind" }, results.Select(result => result.Code));
        await log.Expect("Customer Service "); // the last state, at once
        await Right(client);
        Assert.Equal(2, (await client.ActiveSubscriptionsAsync()).Count);
        Assert.Equal(31, (await client.AvailableSubscriptionsAsync()).Count);

        server.Kill();
        await log.Expect("Behind");
        await server.RestartAsync("--messagepack.keys=" + keys);
        await log.Expect("Customer Service ");
        await Right(client);
        await server.PublishAsync("QueueStatus", new JsonObject { ["QueueName"] = "Ours", ["NbrOfAllocated"] = 3,
            ["MaxWaitTime"] = 3_000_000_000 });
        await log.Expect("Ours 3 3000000000 Queue");
        await client.UnsubscribeAsync(client.Wants);
        Assert.Empty(await client.ActiveSubscriptionsAsync());
    }

    // The server moves the client to another connection. Events come all the time, each once and in order.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Server_shedsTheClient(bool packed)
    {
        await server.RestartAsync();
        await using var client = Make(packed);
        var numbers = new ConcurrentQueue<int>();
        client.On<QueueCallInArrived>(call => numbers.Enqueue(int.Parse(call.CallId.ToString().Substring(24))));
        await client.StartAsync();
        Assert.True((await client.SubscribeAsync(server.Queue, RteEvents.QueueCallInArrived)).Single().Subscribed);
        await Right(client);
        var states = new ConcurrentQueue<RteState>();
        client.StateChanged += states.Enqueue;
        var before = (await client.ActiveSubscriptionsAsync()).Single().Id;
        var shed = server.ShedAsync();
        var published = 0;
        var moved = false;
        for (var deadline = DateTime.UtcNow.AddSeconds(30); !moved || published % 20 != 0; published++)
        {
            Assert.True(DateTime.UtcNow < deadline, "the client has not moved");
            await server.PublishAsync("QueueCallInArrived", new JsonObject
            {
                ["CallId"] = $"00000000-0000-4000-8000-{published:D12}",
            });
            try
            {
                moved = moved || (await client.ActiveSubscriptionsAsync()).Single().Id != before;
            }
            catch (Exception exception) when (exception is InvalidOperationException or OperationCanceledException)
            {
                // The connection that had the call has ended.
            }
        }
        await shed;
        for (var deadline = DateTime.UtcNow.AddSeconds(30); numbers.Count < published; await Task.Delay(20))
        {
            Assert.True(DateTime.UtcNow < deadline, $"{numbers.Count} of {published} events came");
        }
        Assert.Equal(Enumerable.Range(0, published), numbers);
        Assert.Empty(states);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task HubConnection_takesTheClasses(bool packed)
    {
        var builder = new HubConnectionBuilder().WithUrl(
            server.Hub.AbsoluteUri.Replace("ws:", "http:"), options => options.AccessTokenProvider = () =>
                server.TokenAsync(default));
        await using var connection = (packed ? builder.AddRteMessagePackProtocol() : builder).Build();
        connection.On<MessageReceived<QueueStatus>>("MessageReceived", message =>
            log.Add(message.Data!.QueueName + " " + message.Subscription!.EventType));
        await connection.StartAsync();
        var results = await connection.InvokeAsync<SubscriptionResult[]>(
            "Subscribe", new[] { new EntitySubscription(server.Queue, RteEvents.QueueStatus) });
        Assert.True(results.Single().Subscribed);
        await server.PublishAsync("QueueStatus", new JsonObject { ["QueueName"] = "Theirs" });
        await log.Expect("Theirs QueueStatus");
    }
}
