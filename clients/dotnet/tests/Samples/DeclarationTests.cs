using System;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

/// <summary>Which declarations lose events with Microsoft's client alone, as docs/dotnet.md has them.</summary>
public class DeclarationTests(RteServerFixture server) : IClassFixture<RteServerFixture>
{
    public record Message<T>(T Data);

    public class WithDateTime { public DateTime Timestamp { get; set; } }

    public class WithDateTimeOffset { public DateTimeOffset Timestamp { get; set; } }

    public class WithText { public string? Timestamp { get; set; } }

    public class WithDecimal { public decimal MaxWaitTime { get; set; } }

    public class WithDouble { public double MaxWaitTime { get; set; } }

    public class WithInt { public int MaxWaitTime { get; set; } }

    public class WithLong { public long MaxWaitTime { get; set; } }

    public class WithNullable { public long? MaxWaitTime { get; set; } }

    public class WithGuid { public Guid QueueId { get; set; } }

    public enum Name { QueueStatus }

    public class WithEnum { public Name EventType { get; set; } }

    [JsonPolymorphic(TypeDiscriminatorPropertyName = "eventType")]
    [JsonDerivedType(typeof(Queue), "QueueStatus")]
    public class Polymorphic { }

    public class Queue : Polymorphic { }

    private class Private { public long MaxWaitTime { get; set; } }

    private sealed class PrivateMessage { public Private? Data { get; set; } }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public Task DateTime_isRead(bool packed, bool arrives) => Check<Message<WithDateTime>>(packed, "1", arrives);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public Task DateTimeOffset_isLostInMessagePack(bool packed, bool arrives) =>
        Check<Message<WithDateTimeOffset>>(packed, "1", arrives);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public Task TextForATime_isLostInMessagePack(bool packed, bool arrives) => Check<Message<WithText>>(packed, "1",
        arrives);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public Task Decimal_isLostInMessagePack(bool packed, bool arrives) => Check<Message<WithDecimal>>(packed, "1",
        arrives);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Double_isRead(bool packed) => Check<Message<WithDouble>>(packed, "1", true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Guid_isRead(bool packed) => Check<Message<WithGuid>>(packed, "1", true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task Int_isLostWhereTheCatalogHasLong(bool packed) => Check<Message<WithInt>>(packed, "3000000000", false);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task WholeNumberWithAFraction_isLost(bool packed) => Check<Message<WithLong>>(packed, "3.0", false);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NullForAValueType_isLost(bool packed)
    {
        await Check<Message<WithLong>>(packed, "null", false);
        await Check<Message<WithNullable>>(packed, "null", true);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public Task EnumForAName_isLostInJson(bool packed, bool arrives) => Check<Message<WithEnum>>(packed, "1", arrives);

    [Fact]
    public void DateTimeOffset_losesTheLargestTimeWestOfUtc()
    {
        static DateTimeOffset Read() => JsonSerializer.Deserialize<WithDateTimeOffset>(
            """{"Timestamp":"9999-12-31T23:59:59.9999999"}""")!.Timestamp;
        if (TimeZoneInfo.Local.BaseUtcOffset < TimeSpan.Zero)
        {
            Assert.ThrowsAny<Exception>(() => Read());
            return;
        }
        Assert.Equal(9999, Read().Year);
    }

    [Fact]
    public Task Polymorphic_isLost() => Check<Message<Polymorphic>>(false, "1", false);

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public Task PrivateClass_isLostInMessagePack(bool packed, bool arrives) => Check<PrivateMessage>(packed, "1",
        arrives);

    [Fact]
    public async Task Handler_hasExactlyOneArgument()
    {
        await Check(false, "1", false, (connection, called) => connection.On("MessageReceived", called));
        await Check(false, "1", false, (connection, called) => connection.On<object, object>("MessageReceived", (_,
            _) => called()));
        await Check(false, "1", true, (connection, called) => connection.On<object>("MessageReceived", _ => called()));
    }

    private Task Check<T>(bool packed, string maxWaitTime, bool arrives) =>
        Check(packed, maxWaitTime, arrives, (connection, called) => connection.On<T>("MessageReceived", _ => called()));

    // Check publishes an event and looks whether a handler is called for it.
    private async Task Check(bool packed, string maxWaitTime, bool arrives, Action<HubConnection, Action> register)
    {
        var builder = new HubConnectionBuilder().WithUrl(
            server.Hub.AbsoluteUri.Replace("ws:", "http:"), options => options.AccessTokenProvider = () =>
                server.TokenAsync(default));
        await using var connection = (packed ? builder.AddMessagePackProtocol() : builder).Build();
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        register(connection, () => called.TrySetResult());
        await connection.StartAsync();
        await connection.InvokeAsync<object>("Subscribe", new[] { new { EntityId = server.Queue.ToString(),
            EventName = "QueueStatus" } });
        await server.PublishAsync("QueueStatus", new JsonObject { ["MaxWaitTime"] = JsonNode.Parse(maxWaitTime) });
        if (arrives)
        {
            await called.Task.WaitAsync(TimeSpan.FromSeconds(30));
            return;
        }
        // Answers come behind the event: when this one is here, the event was read, and dropped.
        for (var i = 0; i < 3; i++)
        {
            await connection.InvokeAsync<object>("ActiveSubscriptions");
        }
        Assert.False(called.Task.IsCompleted);
    }
}
