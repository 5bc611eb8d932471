using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RteServer.Client;

/// <summary>Lets a host run a client.</summary>
public static class RteClientServiceCollectionExtensions
{
    /// <summary>
    /// Adds an <see cref="RteClient"/> that starts and stops with the host, and its health check "rte".
    /// </summary>
    public static IServiceCollection AddRteClient(
        this IServiceCollection services, Action<RteClientOptions> configure) =>
        services.AddRteClient((_, options) => configure(options));

    /// <summary>
    /// Adds an <see cref="RteClient"/> that starts and stops with the host, and its health check "rte".
    /// </summary>
    public static IServiceCollection AddRteClient(
        this IServiceCollection services, Action<IServiceProvider, RteClientOptions> configure)
    {
        services.AddSingleton(provider =>
        {
            var options = new RteClientOptions { LoggerFactory = provider.GetService<ILoggerFactory>() };
            configure(provider, options);
            return new RteClient(options);
        });
        services.AddHostedService<RteClientService>();
        services.AddHealthChecks().AddCheck<RteHealthCheck>("rte");
        return services;
    }
}

/// <summary>Starts and stops a client with its host. The host does not wait for the connection.</summary>
internal sealed class RteClientService : IHostedService
{
    private readonly RteClient client;

    public RteClientService(RteClient client) => this.client = client;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        client.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => client.StopAsync();
}

/// <summary>
/// Healthy when the client's state is right, degraded while it is behind, unhealthy when it is behind for longer than
/// <see cref="RteClientOptions.UnhealthyAfter"/> or gone.
/// </summary>
public sealed class RteHealthCheck : IHealthCheck
{
    private readonly RteClient client;

    /// <summary>Makes the health check of a client.</summary>
    public RteHealthCheck(RteClient client) => this.client = client;

    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var state = client.State;
        var data = new Dictionary<string, object> { ["since"] = state.Since };
        return Task.FromResult(state.Kind switch
        {
            RteStateKind.Right => HealthCheckResult.Healthy("right", data),
            RteStateKind.Behind when DateTimeOffset.UtcNow - state.Since < client.UnhealthyAfter =>
                HealthCheckResult.Degraded(state.Why, null, data),
            _ => HealthCheckResult.Unhealthy(state.Why, null, data),
        });
    }
}
