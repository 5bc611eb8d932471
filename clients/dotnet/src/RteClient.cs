using System;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace RteServer.Client;

/// <summary>
/// A client of the hub. It connects until it succeeds, subscribes again after every interruption, tries again what is
/// temporarily unavailable, and has one <see cref="State"/>. Its methods may be called from any thread.
/// </summary>
public sealed partial class RteClient : IAsyncDisposable, IDisposable
{
    private readonly RteClientOptions options;
    private readonly ILogger log;
    private readonly CancellationTokenSource stopping = new();
    private readonly object gate = new();
    private readonly TaskCompletionSource<bool> started = New<bool>();
    private Task? running; // guarded by gate
    private volatile bool signedOut;
    private volatile RteState state = new(RteStateKind.Behind, DateTimeOffset.UtcNow, "not started");

    /// <summary>Makes a client that does not connect before it is started.</summary>
    public RteClient(RteClientOptions options)
    {
        this.options = options ?? throw new ArgumentNullException(nameof(options));
        options.Check();
        log = (ILogger?)options.LoggerFactory?.CreateLogger<RteClient>() ?? NullLogger.Instance;
        link = MakeLink();
    }

    /// <summary>What the application sees: right, behind or gone.</summary>
    public RteState State => state;

    internal TimeSpan UnhealthyAfter => options.UnhealthyAfter;

    /// <summary>Raised when <see cref="State"/> has changed, one change at a time.</summary>
    public event Action<RteState>? StateChanged;

    /// <summary>Begins to connect, and returns at once.</summary>
    public void Start()
    {
        lock (gate)
        {
            if (stopping.IsCancellationRequested)
            {
                throw new InvalidOperationException("the client was stopped");
            }
            running ??= Task.Run(RunAsync);
        }
    }

    /// <summary>
    /// Begins to connect, and returns when it is connected for the first time, however long that takes.
    /// </summary>
    /// <param name="cancellationToken">Ends the waiting, not the client.</param>
    /// <exception cref="InvalidOperationException">There was no token.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        Start();
        await Within(started.Task, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the connection for good.</summary>
    public async Task StopAsync()
    {
        Task? run;
        lock (gate)
        {
            stopping.Cancel();
            run = running;
        }
        if (run == null)
        {
            End("stopped");
            return;
        }
        await run.ConfigureAwait(false);
    }

    /// <summary>Ends the connection for good.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        await DisposeAsync(link).ConfigureAwait(false);
    }

    /// <summary>Begins to end the connection, and does not wait for that.</summary>
    public void Dispose() => _ = DisposeAsync().AsTask();

    private async Task<string?> FetchToken()
    {
        if (options.AccessToken == null)
        {
            return null;
        }
        var token = await options.AccessToken(stopping.Token).ConfigureAwait(false);
        signedOut = string.IsNullOrEmpty(token);
        return signedOut ? throw new InvalidOperationException("there is no token") : token;
    }

    // RunAsync connects again and again until the client is stopped. It alone changes the state.
    private async Task RunAsync()
    {
        var stop = stopping.Token;
        var attempts = 0L;
        var lost = Stopwatch.StartNew();
        while (!stop.IsCancellationRequested)
        {
            Exception? failure;
            try
            {
                if (!await AdoptAsync().ConfigureAwait(false))
                {
                    link.Closed = New<Exception?>();
                    await link.Connection.StartAsync(stop).ConfigureAwait(false);
                    started.TrySetResult(true);
                    Renew();
                }
                var lasted = Stopwatch.StartNew();
                failure = await ServeAsync(link, stop).ConfigureAwait(false);
                if (lasted.Elapsed > TimeSpan.FromSeconds(10))
                {
                    attempts = 0; // else a server that accepts and closes at once would be asked without a pause
                }
                lost.Restart();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
            if (stop.IsCancellationRequested)
            {
                break;
            }
            Interrupt(link);
            if (HasNext())
            {
                continue;
            }
            if (signedOut)
            {
                await LeaveAsync().ConfigureAwait(false);
                End("there is no token");
                return;
            }
            SetState(RteStateKind.Behind, Why(failure));
            var delay = options.RetryPolicy.NextRetryDelay(new RetryContext
            {
                PreviousRetryCount = attempts++, ElapsedTime = lost.Elapsed, RetryReason = failure,
            });
            if (delay == null)
            {
                End("the retry policy has given up: " + Why(failure));
                return;
            }
            await Pause(delay.Value, stop).ConfigureAwait(false);
        }
        await LeaveAsync().ConfigureAwait(false);
        End("stopped");
    }

    // Interrupt notes since when events are missing: a dead connection may have gone unnoticed for ServerTimeout.
    private void Interrupt(Link over)
    {
        var blind = over.Connection.ServerTimeout;
        var known = blind >= TimeSpan.Zero && blind < TimeSpan.FromDays(1);
        var since = known ? DateTimeOffset.UtcNow - blind : DateTimeOffset.MinValue;
        lock (gate)
        {
            interruption ??= new Gap(since, "reconnect", Guid.Empty);
        }
    }

    private void End(string why)
    {
        SetState(RteStateKind.Gone, why);
        var gone = new InvalidOperationException("The client is gone: " + why);
        if (started.TrySetException(gone))
        {
            _ = started.Task.Exception; // observed, whether StartAsync was called or not
        }
        Abandon(gone);
    }

    private void SetState(RteStateKind kind, string why)
    {
        var before = state;
        if (before.Kind == RteStateKind.Gone || before.Kind == kind && before.Why == why)
        {
            return;
        }
        state = new RteState(kind, before.Kind == kind ? before.Since : DateTimeOffset.UtcNow, why);
        Raise(StateChanged, state);
    }

    private static string Why(Exception? failure) => failure?.Message ?? "the server ended the connection";

    // Raise calls the application. What it throws is its own failure, and does not stop the client.
    private void Raise<T>(Action<T>? handlers, T argument)
    {
        foreach (var handler in handlers?.GetInvocationList() ?? Array.Empty<Delegate>())
        {
            try
            {
                ((Action<T>)handler)(argument);
            }
            catch (Exception exception)
            {
                Fail(exception);
            }
        }
    }

    private static TaskCompletionSource<T> New<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static async Task Pause(TimeSpan delay, CancellationToken stop)
    {
        try
        {
            await Task.Delay(delay, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
        }
    }

    // Within awaits a task, or the end of the waiting.
    private static async Task<T> Within<T>(Task<T> task, CancellationToken cancellationToken)
    {
        var canceled = New<bool>();
        using (cancellationToken.Register(() => canceled.TrySetResult(true)))
        {
            if (await Task.WhenAny(task, canceled.Task).ConfigureAwait(false) != task)
            {
                throw new OperationCanceledException(cancellationToken);
            }
        }
        return await task.ConfigureAwait(false);
    }
}
