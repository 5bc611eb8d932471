using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net.Http;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

/// <summary>An rte-server with a demo organization, where nothing happens but what the tests publish.</summary>
public sealed class RteServerFixture : IAsyncLifetime
{
    private readonly HttpClient http = new();
    private readonly Dictionary<string, string> urls = new();
    private Process? server;

    public Uri Hub => new(urls["hub"]);

    /// <summary>A queue of the demo organization.</summary>
    public Guid Queue { get; } = new("0d000000-0000-4000-8000-000000000201");

    public Guid Organization { get; } = new("0d000000-0000-4000-8000-000000000001");

    public async Task InitializeAsync() => await StartAsync("127.0.0.1:0", "127.0.0.1:0");

    public async Task StartAsync(string listen, string operators, params string[] more)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("RTESERVER") ?? "rte-server")
        {
            RedirectStandardOutput = true,
        };
        foreach (var argument in new[] { "dev", "--listen=" + listen, "--console.listen=" + operators,
            "--rate=0.001", "--log.level=error" })
        {
            start.ArgumentList.Add(argument);
        }
        Array.ForEach(more, start.ArgumentList.Add);
        server = Process.Start(start)!;
        while (await server.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var name, var url])
            {
                urls[name] = url;
                if (name == "operators")
                {
                    return;
                }
            }
        }
        throw new InvalidOperationException("rte-server did not start");
    }

    public void Kill()
    {
        server?.Kill();
        server?.WaitForExit();
        server?.Dispose();
        server = null;
    }

    /// <summary>Starts the server again where it was.</summary>
    public Task RestartAsync(params string[] more)
    {
        Kill();
        return StartAsync(new Uri(urls["wallboard"]).Authority, new Uri(urls["operators"]).Authority, more);
    }

    public Task DisposeAsync()
    {
        Kill();
        http.Dispose();
        return Task.CompletedTask;
    }

    public async Task<string?> TokenAsync(CancellationToken cancellationToken) =>
        (await http.GetFromJsonAsync<JsonElement>(urls["token"], cancellationToken)).GetProperty("Token").GetString();

    /// <summary>Lets the server close all connections, and announce that before.</summary>
    public async Task ShedAsync()
    {
        using var response = await http.PostAsync(urls["operators"] + "api/shed?connections=all&over=4s", null);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Publishes an event of the queue, with what every event has.</summary>
    public async Task PublishAsync(string eventType, JsonObject data)
    {
        foreach (var (name, value) in new Dictionary<string, JsonNode>
        {
            ["RootEntityType"] = "Organization", ["RootEntityId"] = Organization, ["OrganizationId"] = Organization,
            ["EntityType"] = "Queue", ["EntityId"] = Queue, ["QueueId"] = Queue, ["EventType"] = eventType,
            ["Id"] = Guid.NewGuid(), ["Timestamp"] = DateTime.UtcNow, ["MessageTTLSeconds"] = 60,
        })
        {
            data[name] = value;
        }
        using var response = await http.PostAsJsonAsync(urls["operators"] + "api/publish", data);
        response.EnsureSuccessStatusCode();
    }
}
