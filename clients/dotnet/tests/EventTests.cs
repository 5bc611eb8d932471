using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using MessagePack;
using MessagePack.Resolvers;
using Xunit;

namespace RteServer.Client.Tests;

public class EventTests
{
    private static readonly MessagePackSerializerOptions Packed = MessagePackSerializerOptions.Standard
        .WithResolver(CompositeResolver.Create(RteMessagePackResolver.Instance, ContractlessStandardResolver.Instance));

    public static IEnumerable<object[]> Names() => RteEvents.All.Select(name => new object[] { name });

    private static string Sample(string name, [CallerFilePath] string here = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../../testdata/events", name + ".json"));

    private static Type TypeOf(string name) => typeof(RteEvent).Assembly.GetType("RteServer.Client." + name, true)!;

    [Fact]
    public void All_are31() => Assert.Equal(31, RteEvents.All.Count);

    [Theory]
    [MemberData(nameof(Names))]
    public void PublishedSample_leavesNothingUnread(string name)
    {
        var value = (RteEvent)JsonSerializer.Deserialize(Sample(name), TypeOf(name), RteJsonContext.Default)!;
        Assert.Equal(name, value.EventType);
        Assert.Null(value.Extra);
        Assert.NotEqual(Guid.Empty, value.Id);
        Assert.Equal(2020, value.Timestamp.Year);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void PublishedSample_isTheSameInMessagePackWithEitherCase(string name)
    {
        var published = JsonNode.Parse(Sample(name))!.AsObject();
        var want = JsonSerializer.Serialize(JsonSerializer.Deserialize(Sample(name), TypeOf(name),
            RteJsonContext.Default), TypeOf(name), RteJsonContext.Default);
        var camel = new JsonObject(published.Select(p =>
            KeyValuePair.Create(JsonNamingPolicy.CamelCase.ConvertName(p.Key), p.Value?.DeepClone())));
        foreach (var node in new[] { published, camel })
        {
            var bytes = MessagePackSerializer.Serialize(JsonSerializer.SerializeToElement(node), Packed);
            var value = MessagePackSerializer.Deserialize(TypeOf(name), bytes, Packed);
            Assert.Equal(want, JsonSerializer.Serialize(value, TypeOf(name), RteJsonContext.Default));
        }
    }

    [Theory]
    [InlineData("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59.9999999+00:00")]
    [InlineData("9999-12-31T23:59:59.9999999-05:00", "9999-12-31T23:59:59.9999999+00:00")]
    [InlineData("0001-01-01T00:00:00", "0001-01-01T00:00:00.0000000+00:00")]
    [InlineData("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00.0000000+00:00")]
    [InlineData("2023-10-19T14:21:19.7009158Z", "2023-10-19T14:21:19.7009158+00:00")]
    [InlineData("2023-10-19T14:21:19", "2023-10-19T14:21:19.0000000+00:00")]
    [InlineData("2023-10-19T14:21:19.123456789+03:00", "2023-10-19T11:21:19.1234567+00:00")]
    public void Time_isUtcAndSurvivesSentinels(string text, string want)
    {
        var value = JsonSerializer.Deserialize($$"""{"EndTime":"{{text}}"}""",
            RteJsonContext.Default.UserAvailability)!;
        Assert.Equal(want, value.EndTime.ToString("O"));
        var written = JsonSerializer.Serialize(value, RteJsonContext.Default.UserAvailability);
        Assert.Equal(value.EndTime, JsonSerializer.Deserialize(written,
            RteJsonContext.Default.UserAvailability)!.EndTime);
    }

    [Fact]
    public void Time_ofMessagePack_isRead()
    {
        foreach (var time in new[] { DateTime.MaxValue, DateTime.MinValue, new DateTime(2023, 10, 19, 14, 21, 19,
            DateTimeKind.Utc) })
        {
            var utc = DateTime.SpecifyKind(time, DateTimeKind.Utc);
            var bytes = MessagePackSerializer.Serialize(new Dictionary<string, object> { ["EndTime"] = utc }, Packed);
            var value = MessagePackSerializer.Deserialize<UserAvailability>(bytes, Packed);
            Assert.Equal(utc, value.EndTime.UtcDateTime);
        }
    }

    [Fact]
    public void UnknownValues_survive()
    {
        var availability = JsonSerializer.Deserialize("""{"availability":"Sabbatical"}""",
            RteJsonContext.Default.UserAvailability)!.Availability;
        Assert.Equal(new Availability("Sabbatical"), availability);
        Assert.False(availability!.Value.IsKnown);
        Assert.Equal((OpenStatus)17, JsonSerializer.Deserialize("""{"openStatus":17}""",
            RteJsonContext.Default.QueueStatus)!.OpenStatus);
        foreach (var text in new[] { "3", "\"3\"" })
        {
            var call = JsonSerializer.Deserialize($$"""{"publicity":{{text}}}""",
                RteJsonContext.Default.UserCallInArrived)!;
            Assert.Equal("3", call.Publicity!.Value.Value);
        }
    }

    [Fact]
    public void Numbers_areReadAsTheCatalogHasThem()
    {
        const string text = """{"maxWaitTime":3000000000,"nbrOfAllocated":3.0,"openStatus":5.0}""";
        var status = JsonSerializer.Deserialize(text, RteJsonContext.Default.QueueStatus)!;
        Assert.Equal(3_000_000_000, status.MaxWaitTime);
        Assert.Equal(3, status.NbrOfAllocated);
        Assert.Equal(OpenStatus.Open, status.OpenStatus);
        foreach (var wrong in new[] { "3.5", "3000000000", "null", "\"3\"" })
        {
            Assert.ThrowsAny<JsonException>(() =>
                JsonSerializer.Deserialize($$"""{"nbrOfAllocated":{{wrong}}}""", RteJsonContext.Default.QueueStatus));
        }
    }

    [Fact]
    public void UnknownProperties_areKept()
    {
        var status = JsonSerializer.Deserialize("""{"queueName":"Sales","colour":"red"}""",
            RteJsonContext.Default.QueueStatus)!;
        Assert.Equal("red", status.Extra!["colour"].GetString());
    }

    [Fact]
    public void RetryPolicy_hasNoEnd()
    {
        var policy = new RteRetryPolicy();
        for (var attempt = 0; attempt < 100_000; attempt += 97)
        {
            var delay = policy.NextRetryDelay(new() { PreviousRetryCount = attempt });
            Assert.InRange(delay!.Value, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        }
    }

    [Fact]
    public void HubUrl_hasTheFeatures()
    {
        static string Url(RteClientOptions options) => options.HubUrl().AbsoluteUri;
        Assert.Equal("https://rte.example.com/rte?features=notices,snapshot",
            Url(new() { Url = new("wss://rte.example.com/rte") }));
        Assert.Equal("http://127.0.0.1:8080/rte?a=b&features=notices",
            Url(new() { Url = new("ws://127.0.0.1:8080/rte?a=b"), Snapshots = false }));
        Assert.Equal("https://rte.example.com/rte", Url(new() { Url = new("https://rte.example.com/rte"),
            Snapshots = false, Notices = false }));
    }
}
