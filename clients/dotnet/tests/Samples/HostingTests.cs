using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RteServer.Client;
using Xunit;

public class HostingTests(RteServerFixture server) : IClassFixture<RteServerFixture>
{
    [Fact]
    public async Task Host_runsTheClient()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddRteClient(options =>
        {
            options.Url = server.Hub;
            options.AccessToken = server.TokenAsync;
        });
        builder.Services.AddSingleton(new Watched(server.Queue));
        builder.Services.AddHostedService<QueueWatcher>();
        using var host = builder.Build();
        await host.StartAsync();
        await host.Services.GetServices<IHostedService>().OfType<QueueWatcher>().Single().Seen;
        var health = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.NotEqual(HealthStatus.Unhealthy, health.Status);
        await host.StopAsync();
    }
}

public record Watched(Guid Queue);

public sealed class QueueWatcher(RteClient client, Watched watched, ILogger<QueueWatcher> log) : BackgroundService
{
    private readonly TaskCompletionSource seen = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Seen => seen.Task;

    protected override async Task ExecuteAsync(CancellationToken stop)
    {
        using var queues = client.On<QueueStatus>(queue =>
        {
            log.LogInformation("{Queue} has {Calls} calls", queue.QueueName, queue.NbrOfQueuingRequesters);
            seen.TrySetResult();
        });
        client.StateChanged += state => log.LogInformation("{State}", state);
        // The client connects meanwhile: the answer comes when it has, and the last state behind it.
        await client.SubscribeAsync(new[] { new EntitySubscription(watched.Queue, RteEvents.QueueStatus) }, stop);
        await Task.Delay(Timeout.Infinite, stop);
    }
}
