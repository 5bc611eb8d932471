using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace RteServer.Client;

// What is done about events that the server has lost.
public sealed partial class RteClient
{
    // Enqueue takes a loss. A link that is not the client's yet is given up: the one after it begins with a fetch.
    private void Enqueue(Link from, Resync loss)
    {
        if (from != link)
        {
            GiveUp(from);
            return;
        }
        lock (gate)
        {
            if (losses.Count == MaxLosses)
            {
                losses.RemoveAt(0);
                loss.Total = int.MaxValue; // more than are named
            }
            losses.Add(loss);
        }
        work.Set();
    }

    // RecoverLosses has the states that may be old sent again, and lets the application fetch the rest.
    private async Task RecoverLosses(CancellationToken stop)
    {
        Resync[] due;
        lock (gate)
        {
            due = losses.ToArray();
            losses.Clear();
        }
        foreach (var loss in due)
        {
            if (loss.Reason == "unavailable")
            {
                RetryNow(); // nothing was lost: what was refused for now can be decided again
                continue;
            }
            var why = "events were lost: " + loss.Reason;
            SetState(RteStateKind.Behind, why);
            var again = options.Snapshots ? StatesOf(loss) : new List<Wanted>();
            await Unsubscribe(again.Select(entry => entry.Item).ToList(), stop).ConfigureAwait(false);
            lock (gate)
            {
                again.ForEach(entry => entry.Pending = true);
            }
            QueueFetch(loss);
        }
    }

    private void RetryNow()
    {
        lock (gate)
        {
            foreach (var entry in wanted.Values)
            {
                entry.NextTry = DateTimeOffset.MinValue;
            }
        }
    }

    private List<Wanted> StatesOf(Resync loss)
    {
        var named = new HashSet<EntitySubscription>(
            loss.Subscriptions.Select(s => new EntitySubscription(s.EntityId, s.EventType)));
        lock (gate)
        {
            return wanted.Values.Where(entry =>
                RteEvents.States.Contains(entry.Item.EventName, StringComparer.OrdinalIgnoreCase) &&
                (loss.Total > loss.Subscriptions.Count || named.Contains(entry.Item))).ToList();
        }
    }

    // QueueFetch remembers what the application has to fetch. Beyond MaxLosses the newest stands for the oldest.
    private void QueueFetch(Resync loss)
    {
        lock (gate)
        {
            if (options.OnResync == null)
            {
                return;
            }
            if (fetches.Count == MaxLosses)
            {
                fetches.RemoveAt(0);
                loss.Total = int.MaxValue;
            }
            fetches.Add(loss);
        }
    }

    // StartFetches lets the application fetch, one loss after the other, once everything that is due is subscribed.
    private void StartFetches(CancellationToken stop)
    {
        lock (gate)
        {
            if (fetching || fetches.Count == 0)
            {
                return;
            }
            fetching = true;
        }
        _ = Task.Run(() => FetchAsync(stop), CancellationToken.None);
    }

    private async Task FetchAsync(CancellationToken stop)
    {
        for (var attempts = 0L; ; attempts++)
        {
            Resync loss;
            lock (gate)
            {
                if (fetches.Count == 0 || stop.IsCancellationRequested)
                {
                    fetching = false;
                    break;
                }
                loss = fetches[0];
            }
            try
            {
                await options.OnResync!(loss, stop).ConfigureAwait(false);
                attempts = -1;
                lock (gate)
                {
                    fetches.Remove(loss);
                }
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                Fail(exception);
                await Pause(RetryDelay(attempts, exception), stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
            }
        }
        work.Set();
    }
}
