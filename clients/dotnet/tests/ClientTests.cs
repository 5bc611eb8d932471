using System;
using System.Linq;
using System.Threading.Tasks;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace RteServer.Client.Tests;

public class ClientTests : IAsyncLifetime
{
    private readonly Log log = new();
    private FakeHub hub = null!;
    private RteClient? client;
    private int tokens;

    public async Task InitializeAsync() => hub = await FakeHub.StartAsync();

    public async Task DisposeAsync()
    {
        if (client != null)
        {
            await client.DisposeAsync();
        }
        await hub.DisposeAsync();
    }

    private RteClientOptions Options() => new()
    {
        Url = hub.Url,
        AccessToken = _ => Task.FromResult<string?>("token " + ++tokens),
        RetryPolicy = new RteRetryPolicy(TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(100)),
    };

    private RteClient Make(RteClientOptions options)
    {
        client = new RteClient(options);
        client.StateChanged += state => log.Add(state.Kind + " " + state.Why);
        client.BindingFailed += failure => log.Add("cannot bind " + failure.EventName + " " + failure.Json);
        client.HandlerFailed += failure => log.Add("failed " + failure.Message);
        client.SubscriptionRefused += result => log.Add("refused " + result.EventName + " " + result.Message);
        client.SubscriptionsEnded += ended => log.Add("ended " + ended.Total);
        client.On<QueueStatus>(status => log.Add("queue " + status.QueueName));
        return client;
    }

    private static readonly EntitySubscription Queue = new(Guid.NewGuid(), RteEvents.QueueStatus);
    private static readonly EntitySubscription Call = new(Guid.NewGuid(), RteEvents.QueueCallInArrived);

    [Fact]
    public async Task Subscribe_triesAgainWhatIsUnavailable()
    {
        var times = 0;
        hub.Refusal = item => item.EventName == RteEvents.QueueStatus && ++times < 4 ? "Temporarily unavailable"
            : item.EventName == "Nonsense" ? "Unknown event" : null;
        await Make(Options()).StartAsync();
        var results = await client!.SubscribeAsync(new[] { Queue, new("x", "Nonsense"), Call });
        Assert.Equal(new[] { true, false, true }, results.Select(result => result.Subscribed));
        Assert.Equal("Unknown event", results[1].Message);
        Assert.Equal(4, times);
        await log.Expect("Behind subscribing: Temporarily unavailable");
        await log.Expect("Right");
        Assert.Equal(2, client.Wants.Count);
    }

    [Fact]
    public async Task Subscribe_triesAgainAtOnceWhenTheServerCanDecide()
    {
        hub.Refusal = _ => "Temporarily unavailable";
        var options = Options();
        options.RetryPolicy = new RteRetryPolicy(TimeSpan.FromHours(1), TimeSpan.FromHours(1));
        await Make(options).StartAsync();
        var subscribing = client!.SubscribeAsync(new[] { Queue });
        await log.Expect("Behind subscribing: Temporarily unavailable");
        hub.Refusal = _ => null;
        await hub.SendAsync("Resync", """{"reason":"unavailable","total":0,"subscriptions":[]}""");
        Assert.True((await subscribing)[0].Subscribed);
        await log.Expect("Right");
    }

    [Fact]
    public async Task Subscribe_cutsBatchesToTheLimits()
    {
        await Make(Options()).StartAsync();
        var results = await client!.SubscribeAsync(
            Enumerable.Range(0, 5000).Select(_ => new EntitySubscription(Guid.NewGuid(),
                RteEvents.UserCallAvailableForMonitoring)));
        Assert.All(results, result => Assert.True(result.Subscribed));
        Assert.Equal(5000, hub.Batches.Sum());
        Assert.True(hub.Batches.Count is > 10 and < 30, $"{hub.Batches.Count} batches");
        await client.UnsubscribeAsync(client.Wants);
        Assert.Equal(5000, hub.Calls.Count(call => call.StartsWith("Unsubscribe")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ComesBack_withItsSubscriptionsAndANewToken(bool packed)
    {
        var options = Options();
        if (packed)
        {
            options.ConfigureConnection = builder => builder.AddRteMessagePackProtocol();
        }
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        var before = client.State.Since;
        hub.Refusal = item => item.EventName == RteEvents.QueueCallInArrived ? "Unauthorized" : null;
        for (var i = 0; i < 3; i++)
        {
            hub.AbortAll();
            await log.Expect("Behind");
            if (i == 0)
            {
                await log.Expect("refused queuecallinarrived Unauthorized");
            }
            await log.Expect("Right");
        }
        Assert.True(client.State.Since > before);
        Assert.Equal(new[] { Queue }, client.Wants);
        await hub.SendEventAsync(RteEvents.QueueStatus, """{"queueName":"Sales"}""");
        await log.Expect("queue Sales");
        Assert.True(hub.Tokens.Distinct().Count() >= 4, string.Join(", ", hub.Tokens));
    }

    // The server announces the end of a connection. The client subscribes on the next one before, and no event is
    // missing, comes twice or comes too early.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Closing_movesToTheNextConnection(bool packed)
    {
        var options = Options();
        if (packed)
        {
            options.ConfigureConnection = builder => builder.AddRteMessagePackProtocol();
        }
        await Make(options).StartAsync();
        client!.On<QueueCallInArrived>((call, _) => log.Add("call " + call.CallId));
        await client.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        var first = hub.Connections.Keys.Single();
        await hub.SendToAsync(first, "Closing", """{"reason":"drain","at":"2026-01-01T00:00:00Z"}""");
        await Until(() => hub.Calls.Count(call => call == "Subscribe QueueCallInArrived") == 2 && client.HasNext());
        var second = hub.Connections.Keys.Single(id => id != first);

        await hub.SendToAsync(second, "MessageReceived", Event(Queue, 1, "\"queueName\":\"old state\""));
        foreach (var connection in new[] { first, second })
        {
            await hub.SendToAsync(connection, "MessageReceived", Event(Call, 2, Number(2)));
            await hub.SendToAsync(connection, "MessageReceived", Event(Queue, 3, "\"queueName\":\"state\""));
        }
        await hub.SendToAsync(second, "MessageReceived", Event(Call, 4, Number(4)));
        await log.Expect("call " + Identifier(2));
        Assert.Equal("queue state", await log.Next());
        hub.Connections[first].Abort();
        Assert.Equal("call " + Identifier(4), await log.Next());
        await hub.SendToAsync(second, "MessageReceived", Event(Call, 5, Number(5)));
        Assert.Equal("call " + Identifier(5), await log.Next());
        Assert.Equal(RteStateKind.Right, client.State.Kind);

        await client.UnsubscribeAsync(new[] { Call });
        Assert.Equal("Unsubscribe QueueCallInArrived", hub.Calls.Last());
        hub.AbortAll();
        await log.Expect("Behind");
        await log.Expect("Right");
    }

    // What changes while both connections are open is right on the one that stays.
    [Fact]
    public async Task Closing_keepsWhatChangesMeanwhile()
    {
        await Make(Options()).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        var first = hub.Connections.Keys.Single();
        await hub.SendToAsync(first, "Closing", """{"reason":"shed","at":"2026-01-01T00:00:00Z"}""");
        await Until(() => hub.Calls.Count(call => call.StartsWith("Subscribe")) == 4 && client.HasNext());
        await client.UnsubscribeAsync(new[] { Call });
        await client.SubscribeAsync(new[] { Alert });
        var before = hub.Calls.Count;
        hub.Connections[first].Abort();
        await Until(() => hub.Calls.Count == before + 2);
        Assert.Equal(new[] { "Subscribe QueueCallInComing", "Unsubscribe QueueCallInArrived" },
            hub.Calls.Skip(before).OrderBy(call => call));
        await Until(() => client.State.Kind == RteStateKind.Right);
    }

    // A next connection that fails, or that the server notifies of a loss, is given up: the client connects as after
    // any other end.
    [Theory]
    [InlineData("refused")]
    [InlineData("loss")]
    public async Task Closing_connectsAgainWithoutANextConnection(string how)
    {
        var options = Options();
        var (refuses, attempts) = (false, 0);
        options.AccessToken = _ =>
        {
            attempts++;
            return refuses ? throw new InvalidOperationException("no token now") : Task.FromResult<string?>("token");
        };
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Call });
        await log.Expect("Right");
        var first = hub.Connections.Keys.Single();
        refuses = how == "refused";
        var before = attempts;
        await hub.SendToAsync(first, "Closing", """{"reason":"drain","at":"2026-01-01T00:00:00Z"}""");
        await Until(() => attempts > before);
        if (how == "loss")
        {
            await Until(() => hub.Calls.Count(call => call.StartsWith("Subscribe")) == 2);
            var second = hub.Connections.Keys.Single(id => id != first);
            await hub.SendToAsync(second, "Resync", """{"reason":"outage","total":1,"subscriptions":[]}""");
            await Until(() => hub.Connections.Count == 1);
        }
        refuses = false;
        hub.Connections[first].Abort();
        await log.Expect("Behind");
        await log.Expect("Right");
        await Until(() => hub.Connections.Count == 1);
    }

    private static readonly EntitySubscription Alert = new(Guid.NewGuid(), RteEvents.QueueCallInComing);

    private static string Identifier(int number) => $"00000000-0000-4000-8000-{number:D12}";

    private static string Number(int number) => $"\"callId\":\"{Identifier(number)}\"";

    private static string Event(EntitySubscription item, int id, string data) => $$"""
        {"subscription":{"id":"{{Guid.NewGuid()}}","entityId":"{{item.EntityId}}","eventType":"{{item.EventName}}"},
        "data":{"id":"{{Identifier(id)}}",{{data}} } }
        """;

    private static async Task Until(Func<bool> condition)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(30); !condition(); await Task.Delay(10))
        {
            Assert.True(DateTime.UtcNow < deadline, "waited in vain");
        }
    }

    [Fact]
    public async Task Start_triesUntilThereIsAServer()
    {
        var options = Options();
        await hub.DisposeAsync();
        Make(options);
        var start = client!.StartAsync();
        await log.Expect("Behind Connection refused");
        Assert.False(start.IsCompleted);
        await client.StopAsync();
        await log.Expect("Gone stopped");
        await Assert.ThrowsAsync<InvalidOperationException>(() => start);
        await Assert.ThrowsAsync<InvalidOperationException>(() => client.SubscribeAsync(new[] { Queue }));
    }

    [Fact]
    public async Task Token_thatIsNotThereEndsTheClient()
    {
        var options = Options();
        options.AccessToken = _ => Task.FromResult<string?>(tokens++ < 2 ? "token" : null);
        await Make(options).StartAsync();
        tokens = 2;
        hub.AbortAll();
        await log.Expect("Gone there is no token");
    }

    [Fact]
    public async Task Event_thatCannotBeBoundIsRaised()
    {
        await Make(Options()).StartAsync();
        await hub.SendEventAsync(RteEvents.QueueStatus, """{"queueName":"Sales","nbrOfAllocated":null}""");
        Assert.Contains("\"nbrOfAllocated\":null", await log.Expect("cannot bind QueueStatus"));
        await hub.SendAsync("MessageReceived", "17");
        await log.Expect("cannot bind  17");
        using (client!.On<QueueStatus>(_ => throw new InvalidOperationException("mine")))
        {
            await hub.SendEventAsync(RteEvents.QueueStatus, """{"queueName":"Sales"}""");
            await log.Expect("failed mine");
        }
        await hub.SendEventAsync("queuestatus", """{"queueName":"Support"}""");
        await log.Expect("queue Support");
    }

    [Fact]
    public async Task Resync_isBehindUntilTheApplicationHasFetched()
    {
        var options = Options();
        var fetched = new TaskCompletionSource();
        options.OnResync = async (loss, _) =>
        {
            log.Add("fetch " + loss.Reason);
            await fetched.Task;
        };
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        hub.Calls.Clear();
        await hub.SendAsync("Resync",
            """{"organizationId":"29f6e823-b484-e611-80c9-00505689257e","reason":"outage","total":700}""");
        await log.Expect("Behind events were lost: outage");
        await log.Expect("fetch outage");
        Assert.Equal(RteStateKind.Behind, client.State.Kind);
        fetched.SetResult();
        await log.Expect("Right");
        // What happened to calls has no last state: it stays subscribed.
        Assert.Equal(new[] { "Unsubscribe QueueStatus", "Subscribe QueueStatus" }, hub.Calls);
    }

    [Fact]
    public async Task Reconnect_letsTheApplicationFetch()
    {
        var options = Options();
        var attempts = 0;
        options.OnResync = (loss, _) =>
        {
            log.Add($"fetch {loss.Reason} {loss.Total} {loss.From < loss.To}");
            return ++attempts == 1 ? throw new InvalidOperationException("not yet") : Task.CompletedTask;
        };
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        hub.AbortAll();
        await log.Expect("Behind");
        await log.Expect("fetch reconnect 2 True");
        await log.Expect("failed not yet");
        await log.Expect("fetch reconnect 2 True");
        await log.Expect("Right");
    }

    // A dead connection may have gone unnoticed for ServerTimeout. What the server grants later than the rest has
    // missed events until then, so it has a fetch of its own. What it never granted has none.
    [Fact]
    public async Task Reconnect_fetchesWhatTheServerGrantsAgain()
    {
        var options = Options();
        var before = DateTimeOffset.UtcNow;
        options.OnResync = (loss, _) =>
        {
            var names = string.Join(" ", loss.Subscriptions.Select(s => s.EventType + " " + s.EntityId));
            log.Add($"fetch {loss.Reason} {loss.Total} {loss.From < before} {names}");
            return Task.CompletedTask;
        };
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await log.Expect("Right");
        hub.Refusal = item => item.EventName == RteEvents.QueueStatus ? null : "Temporarily unavailable";
        var late = client.SubscribeAsync(new[] { Alert });
        await log.Expect("Behind subscribing");
        hub.AbortAll();
        await log.Expect("fetch reconnect 1 True QueueStatus " + Queue.EntityId);
        hub.Refusal = _ => null;
        await log.Expect("fetch reconnect 1 True QueueCallInArrived " + Call.EntityId);
        await log.Expect("Right");
        Assert.True((await late)[0].Subscribed);
    }

    // A connection that ends takes no loss with it.
    [Fact]
    public async Task Resync_outlivesItsConnection()
    {
        var options = Options();
        options.OnResync = (loss, _) =>
        {
            log.Add($"fetch {loss.Reason} since {loss.From:yyyy} of {loss.Total}");
            return Task.CompletedTask;
        };
        await Make(options).StartAsync();
        await client!.SubscribeAsync(new[] { Queue });
        await log.Expect("Right");
        hub.Refusal = _ => "Temporarily unavailable";
        await hub.SendAsync("Resync", """{"reason":"outage","from":"2020-01-01T00:00:00Z","total":700}""");
        await log.Expect("Behind subscribing");
        hub.AbortAll();
        await log.Expect("Behind");
        hub.Refusal = _ => null;
        await log.Expect("fetch outage since 2020 of 1");
        await log.Expect("Right");
    }

    [Fact]
    public async Task SubscriptionsEnded_areNotTriedAgain()
    {
        await Make(Options()).StartAsync();
        await client!.SubscribeAsync(new[] { Queue, Call });
        await hub.SendAsync("SubscriptionsEnded",
            $$"""{"total":1,"subscriptions":[{"entityId":"{{Queue.EntityId}}","eventType":"QueueStatus"}]}""");
        await log.Expect("ended 1");
        Assert.Equal(new[] { Call }, client.Wants);
    }

    [Fact]
    public async Task Host_startsAndStopsTheClient()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging();
        builder.Services.AddRteClient(options =>
        {
            options.Url = hub.Url;
            options.UnhealthyAfter = TimeSpan.FromHours(1);
            options.RetryPolicy = new RteRetryPolicy(TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1));
        });
        using var host = builder.Build();
        var hosted = host.Services.GetRequiredService<RteClient>();
        hosted.StateChanged += state => log.Add(state.Kind.ToString());
        var health = host.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Degraded, (await health.CheckHealthAsync()).Status);
        await host.StartAsync();
        await log.Expect("Right");
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync()).Status);
        await hub.DisposeAsync();
        await log.Expect("Behind");
        Assert.Equal(HealthStatus.Degraded, (await health.CheckHealthAsync()).Status);
        await host.StopAsync();
        await log.Expect("Gone");
        Assert.Equal(HealthStatus.Unhealthy, (await health.CheckHealthAsync()).Status);
    }
}
