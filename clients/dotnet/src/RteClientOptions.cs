using System;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http.Connections.Client;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.Logging;

namespace RteServer.Client;

/// <summary>What an <see cref="RteClient"/> needs to know.</summary>
public sealed class RteClientOptions
{
    /// <summary>
    /// The hub, for instance https://rte.example.com/rte. wss: and ws: are taken as https: and http:. Required.
    /// </summary>
    public Uri? Url { get; set; }

    /// <summary>
    /// Fetches a token. It is called for every attempt to connect, so it must not keep one that has expired. Null or an
    /// empty text means that the user is signed out, and ends the client. An exception is an attempt that failed.
    /// </summary>
    public Func<CancellationToken, Task<string?>>? AccessToken { get; set; }

    /// <summary>
    /// Fetches what was missed: after the server has lost events, and, with the reason "reconnect", after a connection
    /// was lost. <see cref="Resync.Subscriptions"/> names every subscription with missing events, by EntityId and
    /// EventType; each is granted again by then. The state is behind until it returns; what it throws is tried again.
    /// States that are subscribed to come again by themselves; what happened to calls has to be fetched.
    /// </summary>
    public Func<Resync, CancellationToken, Task>? OnResync { get; set; }

    /// <summary>When to try again to connect, to subscribe and to fetch. By default without an end.</summary>
    public IRetryPolicy RetryPolicy { get; set; } = new RteRetryPolicy();

    /// <summary>Largest number of items of one Subscribe: the server's limits.items.</summary>
    public int MaxBatchItems { get; set; } = 2000;

    /// <summary>
    /// Largest number of bytes of the items of one Subscribe. It must be less than the server's limits.message_bytes.
    /// </summary>
    public int MaxBatchBytes { get; set; } = 30_000;

    /// <summary>How long the server may take to answer a call.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long the client may be behind before its health check calls it unhealthy instead of degraded.
    /// </summary>
    public TimeSpan UnhealthyAfter { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Asks for a code with each refusal, and to be notified of what the server ends or has lost.</summary>
    public bool Notices { get; set; } = true;

    /// <summary>Asks for the last state of what is subscribed to, at once.</summary>
    public bool Snapshots { get; set; } = true;

    /// <summary>Changes how the connection is made: proxies, certificates, headers, transports.</summary>
    public Action<HttpConnectionOptions>? ConfigureHttp { get; set; }

    /// <summary>Changes the connection itself: the hub protocol, timeouts, stateful reconnect, logging.</summary>
    public Action<IHubConnectionBuilder>? ConfigureConnection { get; set; }

    /// <summary>Where failures are logged that no event handler of the application takes.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    internal Uri HubUrl()
    {
        var url = new UriBuilder(Url ?? throw new InvalidOperationException("RteClientOptions.Url is required"));
        url.Scheme = url.Scheme switch { "wss" => "https", "ws" => "http", var scheme => scheme };
        var features = (Notices, Snapshots) switch
        {
            (true, true) => "features=notices,snapshot",
            (true, false) => "features=notices",
            (false, true) => "features=snapshot",
            _ => "",
        };
        if (features != "")
        {
            var query = url.Query.TrimStart('?');
            url.Query = query == "" ? features : query + "&" + features;
        }
        return url.Uri;
    }

    internal void Check()
    {
        HubUrl();
        if (MaxBatchItems < 1 || MaxBatchBytes < 1)
        {
            throw new InvalidOperationException("RteClientOptions.MaxBatchItems and MaxBatchBytes: 1 or more");
        }
    }
}
