using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.Logging;

namespace RteServer.Client;

// What is subscribed to. Methods of the application change the sets below; ServeAsync alone talks to the server.
public sealed partial class RteClient
{
    private readonly Signal work = new();
    private readonly Dictionary<EntitySubscription, Wanted> wanted = new(); // guarded by gate
    private readonly List<Ending> endings = new(); // guarded by gate
    private readonly List<Resync> losses = new(); // guarded by gate
    private readonly Dictionary<Wanted, Gap> missed = new(); // what the application has to fetch; guarded by gate
    private bool fetching; // whether OnResync runs; guarded by gate
    private long fetchFailures; // in a row; guarded by gate
    private Gap? interruption; // of the last connection; null: there is none; guarded by gate
    private long generation; // counts connections; guarded by gate

    // Losses beyond this number become one: everything is fetched again.
    private const int MaxLosses = 16;

    /// <summary>
    /// Raised when a subscription that the client had, or still waits for, is refused when it is renewed. It is not
    /// tried again.
    /// </summary>
    public event Action<SubscriptionResult>? SubscriptionRefused;

    /// <summary>What the client keeps subscribed to.</summary>
    public IReadOnlyList<EntitySubscription> Wants
    {
        get
        {
            lock (gate)
            {
                return wanted.Keys.ToArray();
            }
        }
    }

    /// <summary>
    /// Subscribes, and keeps that up until it is refused or unsubscribed. It returns the server's answers in the order
    /// of
    /// the items when each is definite: what is temporarily unavailable is tried again, also on the next connection.
    /// </summary>
    /// <param name="items">Entities and events, as many as are wanted: batches are cut to the server's limits.</param>
    /// <param name="cancellationToken">Ends the waiting, not the subscriptions.</param>
    public async Task<IReadOnlyList<SubscriptionResult>> SubscribeAsync(
        IEnumerable<EntitySubscription> items, CancellationToken cancellationToken = default)
    {
        var waiters = new List<Task<SubscriptionResult>>();
        lock (gate)
        {
            MustNotBeGone();
            foreach (var item in items)
            {
                if (!wanted.TryGetValue(item, out var entry))
                {
                    wanted[item] = entry = new Wanted(item);
                }
                entry.Pending = true;
                entry.NextTry = DateTimeOffset.MinValue;
                var waiter = New<SubscriptionResult>();
                entry.Waiters.Add(waiter);
                waiters.Add(waiter.Task);
            }
        }
        work.Set();
        return await Within(Task.WhenAll(waiters), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Subscribes to events of an entity.</summary>
    public Task<IReadOnlyList<SubscriptionResult>> SubscribeAsync(Guid entityId, params string[] eventNames) =>
        SubscribeAsync(eventNames.Select(name => new EntitySubscription(entityId, name)));

    /// <summary>
    /// Ends subscriptions. It returns when the server has ended them, or there is no connection that has them.
    /// </summary>
    public async Task UnsubscribeAsync(
        IEnumerable<EntitySubscription> items, CancellationToken cancellationToken = default)
    {
        var ending = new Ending(items.ToList());
        lock (gate)
        {
            MustNotBeGone();
            foreach (var item in ending.Items)
            {
                if (wanted.TryGetValue(item, out var entry))
                {
                    wanted.Remove(item);
                    entry.Abandon(new OperationCanceledException("The subscription was ended."));
                }
            }
            endings.Add(ending);
            if (running == null)
            {
                FinishEndings();
            }
        }
        work.Set();
        await Within(ending.Done.Task, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Returns what the server has as subscriptions of this connection.</summary>
    public async Task<IReadOnlyList<Subscription>> ActiveSubscriptionsAsync(
        CancellationToken cancellationToken = default)
    {
        var answer = await CallAsync("ActiveSubscriptions", null, cancellationToken).ConfigureAwait(false);
        return answer.Deserialize(RteJsonContext.Default.SubscriptionArray)!;
    }

    /// <summary>Returns the names of all events that the server knows.</summary>
    public async Task<IReadOnlyList<string>> AvailableSubscriptionsAsync(CancellationToken cancellationToken = default)
    {
        var answer = await CallAsync("AvailableSubscriptions", null, cancellationToken).ConfigureAwait(false);
        return answer.Deserialize(RteJsonContext.Default.StringArray)!;
    }

    // ServeAsync does on one connection what is to be done, and returns why that has ended.
    private async Task<Exception?> ServeAsync(Link current, CancellationToken stop)
    {
        var ended = current.Closed.Task;
        while (!ended.IsCompleted && !stop.IsCancellationRequested)
        {
            using var awake = CancellationTokenSource.CreateLinkedTokenSource(stop);
            PrepareNext(stop);
            if (current.Interrupted is { } why)
            {
                if (HasNext())
                {
                    await current.Connection.StopAsync(stop).ConfigureAwait(false);
                    continue;
                }
                SetState(RteStateKind.Behind, why);
                await Task.WhenAny(ended, work.WaitAsync(awake.Token)).ConfigureAwait(false);
                awake.Cancel(); // an abandoned wait would take the next signal
                continue;
            }
            await UnsubscribeEndings(stop).ConfigureAwait(false);
            await RecoverLosses(stop).ConfigureAwait(false);
            var batch = NextBatch(out var pending, out var next);
            if (batch.Count > 0)
            {
                SetStateUnlessBehind("subscribing");
                await SubscribeBatch(batch, stop).ConfigureAwait(false);
                continue;
            }
            StartFetch(stop);
            if (!pending)
            {
                SetState(RteStateKind.Right, "");
            }
            await Task.WhenAny(ended, work.WaitAsync(awake.Token), Pause(next, awake.Token)).ConfigureAwait(false);
            awake.Cancel();
        }
        stop.ThrowIfCancellationRequested();
        return await ended.ConfigureAwait(false);
    }

    // Renew makes everything pending: a new connection has no subscriptions.
    private void Renew()
    {
        lock (gate)
        {
            Continue(_ => false);
            FinishEndings();
        }
    }

    // Continue begins a connection that has some of what the one before had. Events of the others are missing: the
    // application fetches them as soon as they are granted again. The caller holds gate.
    private void Continue(Func<Wanted, bool> has)
    {
        generation++;
        closing = false;
        foreach (var entry in wanted.Values)
        {
            if (!has(entry))
            {
                if (entry.Granted && interruption != null)
                {
                    entry.Miss(interruption);
                }
                entry.Granted = false;
                entry.Pending = true;
            }
            entry.NextTry = DateTimeOffset.MinValue;
        }
        interruption = null;
    }

    private void FinishEndings()
    {
        foreach (var ending in endings)
        {
            ending.Done.TrySetResult(true);
        }
        endings.Clear();
    }

    // NextBatch takes as much of what is due as one call may carry.
    private List<Wanted> NextBatch(out bool pending, out TimeSpan next)
    {
        var now = DateTimeOffset.UtcNow;
        var due = new List<Wanted>();
        lock (gate)
        {
            foreach (var entry in missed.Keys.Where(entry => !IsWanted(entry)).ToList())
            {
                missed.Remove(entry);
            }
            pending = fetching || missed.Count > 0;
            next = TimeSpan.FromMinutes(1);
            foreach (var entry in wanted.Values)
            {
                if (!entry.Pending)
                {
                    continue;
                }
                pending = true;
                if (entry.NextTry > now)
                {
                    next = entry.NextTry - now < next ? entry.NextTry - now : next;
                    continue;
                }
                due.Add(entry);
            }
        }
        return Cut(due);
    }

    private async Task SubscribeBatch(List<Wanted> batch, CancellationToken stop)
    {
        SubscriptionResult[] results;
        long asked;
        lock (gate)
        {
            asked = generation;
        }
        try
        {
            var items = Items(batch.Select(entry => entry.Item));
            var answer = await CallAsync("Subscribe", items, stop).ConfigureAwait(false);
            results = answer.Deserialize(RteJsonContext.Default.SubscriptionResultArray)!;
            if (results.Length != batch.Count)
            {
                throw new JsonException($"Subscribe answered {results.Length} results to {batch.Count} items.");
            }
        }
        catch (Exception exception) when (!stop.IsCancellationRequested)
        {
            log.LogDebug(exception, "subscribing failed");
            var unknown = new SubscriptionResult { Message = exception.Message, Code = "unavailable" };
            results = batch.Select(_ => unknown).ToArray();
        }
        var refused = new List<SubscriptionResult>();
        var unavailable = "";
        lock (gate)
        {
            if (asked != generation)
            {
                return; // the answer of a connection that reconnected meanwhile
            }
            for (var i = 0; i < batch.Count; i++)
            {
                var (entry, result) = (batch[i], results[i]);
                if (!IsWanted(entry))
                {
                    continue; // ended meanwhile
                }
                if (result.IsUnavailable)
                {
                    entry.Attempts++;
                    entry.NextTry = DateTimeOffset.UtcNow + RetryDelay(entry.Attempts, null);
                    unavailable = result.Message ?? "Temporarily unavailable";
                    continue;
                }
                entry.Pending = false;
                entry.Attempts = 0;
                entry.Granted = result.Subscribed;
                if (!result.Subscribed)
                {
                    wanted.Remove(entry.Item);
                    if (entry.Waiters.Count == 0)
                    {
                        refused.Add(result);
                    }
                }
                if (result.Subscribed && entry.Gap is { } gap)
                {
                    entry.Gap = null;
                    MustFetch(entry, gap);
                }
                entry.Finish(result);
            }
        }
        if (unavailable != "")
        {
            SetState(RteStateKind.Behind, "subscribing: " + unavailable);
        }
        refused.ForEach(result => Raise(SubscriptionRefused, result));
    }

    private async Task UnsubscribeEndings(CancellationToken stop)
    {
        Ending[] due;
        lock (gate)
        {
            due = endings.ToArray();
            endings.Clear();
        }
        foreach (var ending in due)
        {
            await Unsubscribe(ending.Items, stop).ConfigureAwait(false);
            ending.Done.TrySetResult(true);
        }
    }

    // Unsubscribe ends subscriptions on the server. When a call fails, the connection and its subscriptions end anyway.
    private async Task Unsubscribe(IReadOnlyList<EntitySubscription> items, CancellationToken stop)
    {
        var batch = new List<EntitySubscription>();
        var bytes = 0;
        for (var i = 0; i <= items.Count; i++)
        {
            var size = i < items.Count ? Wanted.Size(items[i]) : 0;
            var full = i == items.Count || batch.Count == options.MaxBatchItems || bytes + size > options.MaxBatchBytes;
            if (batch.Count > 0 && full)
            {
                try
                {
                    await CallAsync("Unsubscribe", Items(batch), stop).ConfigureAwait(false);
                }
                catch (Exception exception) when (!stop.IsCancellationRequested)
                {
                    log.LogDebug(exception, "unsubscribing failed");
                }
                batch.Clear();
                bytes = 0;
            }
            if (i < items.Count)
            {
                batch.Add(items[i]);
                bytes += size;
            }
        }
    }

    // Drop forgets what the server has ended. If it does not name all, subscribing again shows which.
    private void Drop(SubscriptionsEnded ended)
    {
        lock (gate)
        {
            foreach (var s in ended.Subscriptions)
            {
                wanted.Remove(new EntitySubscription(s.EntityId, s.EventType));
            }
            if (ended.Total > ended.Subscriptions.Count)
            {
                foreach (var entry in wanted.Values)
                {
                    entry.Pending = true;
                }
            }
        }
        work.Set();
    }

    private void Abandon(Exception gone)
    {
        lock (gate)
        {
            foreach (var entry in wanted.Values)
            {
                entry.Abandon(gone);
            }
            FinishEndings();
        }
    }

    private void MustNotBeGone()
    {
        if (state.Kind == RteStateKind.Gone)
        {
            throw new InvalidOperationException("The client is gone: " + state.Why);
        }
    }

    // RetryDelay is the policy's delay for what is no connection, which is tried again whatever the policy gives up.
    private TimeSpan RetryDelay(long attempts, Exception? reason) =>
        options.RetryPolicy.NextRetryDelay(new RetryContext { PreviousRetryCount = attempts, RetryReason = reason }) ??
        TimeSpan.FromMinutes(1);

    private void SetStateUnlessBehind(string why)
    {
        if (state.Kind == RteStateKind.Right)
        {
            SetState(RteStateKind.Behind, why);
        }
    }

    private static JsonElement Items(IEnumerable<EntitySubscription> items) =>
        JsonSerializer.SerializeToElement(items.ToArray(), RteJsonContext.Default.EntitySubscriptionArray);

    private Task<JsonElement> CallAsync(string method, JsonElement? argument, CancellationToken cancellationToken) =>
        CallAsync(link, method, argument, cancellationToken);

    private async Task<JsonElement> CallAsync(
        Link to, string method, JsonElement? argument, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(options.CallTimeout);
        var arguments = argument is { } value ? new object?[] { value } : Array.Empty<object?>();
        return await to.Connection.InvokeCoreAsync<JsonElement>(method, arguments, timeout.Token).ConfigureAwait(false);
    }
}
