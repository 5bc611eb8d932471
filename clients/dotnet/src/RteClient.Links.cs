using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace RteServer.Client;

// The connections: one, and for a moment the next one, when the server announces the end of the first.
public sealed partial class RteClient
{
    // Events of the next connection that wait, and events of which is remembered that they came.
    private const int MaxWaiting = 4096;

    // OverlapTime is how long an event may need more on one connection than on the other.
    private static readonly TimeSpan OverlapTime = TimeSpan.FromSeconds(30);

    private volatile Link link;
    private Link? next; // is subscribed and waits for the end of link; guarded by gate
    private bool closing; // the server has announced the end of link; guarded by gate
    private bool preparing; // whether PrepareAsync runs; guarded by gate
    private readonly HashSet<string> seen = new(StringComparer.OrdinalIgnoreCase); // guarded by gate
    private readonly Queue<string> seenInOrder = new(); // guarded by gate

    // Link is a connection. What it has belongs to the client only while it is the client's link.
    private sealed class Link
    {
        public Link(HubConnection connection) => Connection = connection;

        public HubConnection Connection { get; }

        public volatile TaskCompletionSource<Exception?> Closed = New<Exception?>();

        // Interrupted is set while the connection itself reconnects, if the application wants that.
        public volatile string? Interrupted;

        // Waiting has the events that came before the link became the client's; null: it is. Guarded by gate.
        public List<Message>? Waiting;

        // Adopted runs since the link became the client's in place of another; null: it did not. Events of that time may
        // still come that the client had on the other. Guarded by gate.
        public Stopwatch? Adopted;

        // Granted has what the next link is subscribed to. Guarded by gate.
        public HashSet<Wanted> Granted { get; } = new();
    }

    // Message is an event with its subscription.
    private sealed record Message(Subscription Subscription, JsonElement Data)
    {
        public string Topic => Subscription.EntityId + " " + Subscription.EventType + " " + Subscription.AllEntities;

        // Key identifies the event; null: it has no id.
        public string? Key
        {
            get
            {
                if (Data.ValueKind == JsonValueKind.Object &&
                    (Data.TryGetProperty("id", out var id) || Data.TryGetProperty("Id", out id)) &&
                    id.ValueKind == JsonValueKind.String)
                {
                    return Topic + " " + id.GetString();
                }
                return null;
            }
        }
    }

    private Link MakeLink()
    {
        IHubConnectionBuilder builder = new HubConnectionBuilder();
        builder = builder.WithUrl(options.HubUrl(), http =>
        {
            http.AccessTokenProvider = FetchToken;
            options.ConfigureHttp?.Invoke(http);
        });
        builder.AddJsonProtocol(json =>
            json.PayloadSerializerOptions.TypeInfoResolverChain.Insert(0, RteJsonContext.Default));
        options.ConfigureConnection?.Invoke(builder);
        var made = new Link(builder.Build());
        made.Connection.Closed += failure =>
        {
            made.Closed.TrySetResult(failure);
            return Task.CompletedTask;
        };
        made.Connection.Reconnecting += failure =>
        {
            made.Interrupted = Why(failure);
            if (link == made)
            {
                Interrupt(made);
                work.Set();
            }
            else
            {
                GiveUp(made); // its subscriptions are lost
            }
            return Task.CompletedTask;
        };
        made.Connection.Reconnected += _ =>
        {
            if (link == made)
            {
                Renew();
            }
            made.Interrupted = null;
            work.Set();
            return Task.CompletedTask;
        };
        RegisterHandlers(made);
        return made;
    }

    private void Announce(Link announced)
    {
        lock (gate)
        {
            closing = closing || announced == link;
        }
        work.Set();
    }

    // PrepareNext begins to prepare the next link, if the server has announced the end of this one.
    private void PrepareNext(CancellationToken stop)
    {
        lock (gate)
        {
            if (!closing || preparing || next != null)
            {
                return;
            }
            closing = false;
            preparing = true;
        }
        var before = link;
        _ = Task.Run(() => PrepareAsync(before, stop), CancellationToken.None);
    }

    // PrepareAsync opens the next link while the server still serves the one that it is about to close, so that no
    // event is missing. The events of the next link wait until the old one has ended, so they stay in order. If it fails,
    // the client connects again as after any other end.
    private async Task PrepareAsync(Link before, CancellationToken stop)
    {
        var opened = MakeLink();
        opened.Waiting = new List<Message>();
        var adopted = false;
        try
        {
            await opened.Connection.StartAsync(stop).ConfigureAwait(false);
            List<Wanted> rest;
            lock (gate)
            {
                rest = wanted.Values.Where(entry => entry.Granted).ToList();
            }
            while (rest.Count > 0)
            {
                var batch = Cut(rest);
                rest.RemoveRange(0, batch.Count);
                var items = Items(batch.Select(entry => entry.Item));
                var answer = await CallAsync(opened, "Subscribe", items, stop).ConfigureAwait(false);
                var results = answer.Deserialize(RteJsonContext.Default.SubscriptionResultArray)!;
                lock (gate)
                {
                    opened.Granted.UnionWith(batch.Where((_, i) => i < results.Length && results[i].Subscribed));
                }
            }
            lock (gate)
            {
                adopted = link == before && !before.Closed.Task.IsCompleted && !opened.Closed.Task.IsCompleted &&
                    !stop.IsCancellationRequested;
                next = adopted ? opened : null;
            }
        }
        catch (Exception exception)
        {
            log.LogDebug(exception, "the next connection was not prepared");
        }
        finally
        {
            lock (gate)
            {
                preparing = false;
            }
        }
        if (!adopted)
        {
            await DisposeAsync(opened).ConfigureAwait(false);
        }
        work.Set();
    }

    // Cut returns as many of the items as one call may carry, at least one.
    private List<Wanted> Cut(IEnumerable<Wanted> items)
    {
        var batch = new List<Wanted>();
        var bytes = 0;
        foreach (var entry in items)
        {
            bytes += entry.Bytes;
            if (batch.Count > 0 && (batch.Count == options.MaxBatchItems || bytes > options.MaxBatchBytes))
            {
                break;
            }
            batch.Add(entry);
        }
        return batch;
    }

    // HasNext reports whether the next link is ready. It gives up one that has ended.
    internal bool HasNext()
    {
        Link? over = null;
        lock (gate)
        {
            if (next != null && next.Closed.Task.IsCompleted)
            {
                over = next;
                next = null;
            }
        }
        if (over != null)
        {
            _ = DisposeAsync(over);
        }
        lock (gate)
        {
            return next != null;
        }
    }

    // GiveUp ends a link that is not the client's.
    private static void GiveUp(Link given)
    {
        given.Closed.TrySetResult(null); // at once: the client must not adopt it
        _ = given.Connection.StopAsync();
    }

    // AdoptAsync makes the next link the client's, if there is one, and delivers the events that wait. It returns false
    // if there is none.
    private async Task<bool> AdoptAsync()
    {
        if (!HasNext())
        {
            return false;
        }
        Link before;
        Link adopted;
        lock (gate)
        {
            (before, adopted) = (link, next!);
            link = adopted;
            next = null;
            Continue(adopted.Granted.Contains);
            var current = new HashSet<Wanted>(wanted.Values);
            var unwanted = adopted.Granted.Where(entry => !current.Contains(entry) && !wanted.ContainsKey(entry.Item));
            var items = unwanted.Select(entry => entry.Item).ToList();
            if (items.Count > 0)
            {
                endings.Add(new Ending(items));
            }
            adopted.Granted.Clear();
            adopted.Adopted = Stopwatch.StartNew();
        }
        await DisposeAsync(before).ConfigureAwait(false);
        for (var waiting = Take(adopted); waiting != null; waiting = Take(adopted))
        {
            foreach (var message in waiting)
            {
                await Deliver(adopted, message).ConfigureAwait(false);
            }
        }
        return true;
    }

    // Take returns the events that wait, without those that the client had. Null: there are none, and later ones are
    // delivered at once.
    private List<Message>? Take(Link adopted)
    {
        lock (gate)
        {
            var waiting = adopted.Waiting!;
            if (waiting.Count == 0)
            {
                adopted.Waiting = null;
                return null;
            }
            adopted.Waiting = new List<Message>();
            // What is in front of an event that the client had is older, such as a state that came at the subscription.
            var last = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            for (var i = 0; i < waiting.Count; i++)
            {
                if (waiting[i].Key is { } key && seen.Contains(key))
                {
                    last[waiting[i].Topic] = i;
                }
            }
            return waiting.Where((message, i) => !last.TryGetValue(message.Topic, out var known) || i > known).ToList();
        }
    }

    // WaitsAsync reports whether an event waits until its link is the client's. With too many of them it ends the link,
    // or waits while the client takes them.
    private async Task<bool> WaitsAsync(Link from, Message message)
    {
        while (true)
        {
            lock (gate)
            {
                if (from.Waiting == null)
                {
                    return false;
                }
                if (from.Waiting.Count < MaxWaiting)
                {
                    from.Waiting.Add(message);
                    return true;
                }
            }
            if (from != link)
            {
                GiveUp(from);
                return true;
            }
            await Task.Delay(10).ConfigureAwait(false);
        }
    }

    // Remember notes that an event came. It returns false if the event came before, on the connection that this one
    // replaced.
    private bool Remember(Link from, Message message)
    {
        if (message.Key is not { } key)
        {
            return true;
        }
        lock (gate)
        {
            if (!seen.Add(key))
            {
                // The connection that was replaced may still deliver what came before its end.
                return from == link && (from.Adopted == null || from.Adopted.Elapsed > OverlapTime);
            }
            seenInOrder.Enqueue(key);
            if (seenInOrder.Count > MaxWaiting)
            {
                seen.Remove(seenInOrder.Dequeue());
            }
            return true;
        }
    }

    // LeaveAsync ends both links.
    private async Task LeaveAsync()
    {
        Link? other;
        lock (gate)
        {
            other = next;
            next = null;
        }
        if (other != null)
        {
            await DisposeAsync(other).ConfigureAwait(false);
        }
        try
        {
            await link.Connection.StopAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            log.LogDebug(exception, "the connection did not end well");
        }
    }

    private async Task DisposeAsync(Link over)
    {
        try
        {
            await over.Connection.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            log.LogDebug(exception, "a connection did not end well");
        }
    }
}
