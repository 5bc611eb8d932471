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
                loss.From = null;
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
            SetState(RteStateKind.Behind, "events were lost: " + loss.Reason);
            List<Wanted> again;
            lock (gate)
            {
                again = Lose(loss);
            }
            await Unsubscribe(again.Select(entry => entry.Item).ToList(), stop).ConfigureAwait(false);
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

    // Lose notes what is missing after a loss. It returns the states that became pending: the server sends them again. The
    // caller holds gate.
    private List<Wanted> Lose(Resync loss)
    {
        var named = new HashSet<EntitySubscription>(
            loss.Subscriptions.Select(s => new EntitySubscription(s.EntityId, s.EventType)));
        var again = new List<Wanted>();
        foreach (var entry in wanted.Values)
        {
            if (loss.Total <= loss.Subscriptions.Count && !named.Contains(entry.Item))
            {
                continue;
            }
            var isState = RteEvents.States.Contains(entry.Item.EventName, StringComparer.OrdinalIgnoreCase);
            if (entry.Granted && !(options.Snapshots && isState))
            {
                MustFetch(entry, Gap.Of(loss));
                continue;
            }
            entry.Miss(Gap.Of(loss));
            if (entry.Granted)
            {
                again.Add(entry);
                entry.Granted = false;
                entry.Pending = true;
                entry.NextTry = DateTimeOffset.MinValue;
            }
        }
        return again;
    }

    // MustFetch notes what the application has to fetch. The caller holds gate.
    private void MustFetch(Wanted entry, Gap gap)
    {
        if (options.OnResync != null)
        {
            missed.TryGetValue(entry, out var before);
            missed[entry] = gap.With(before);
        }
    }

    // StartFetch lets the application fetch what is missing, once everything that is due is subscribed.
    private void StartFetch(CancellationToken stop)
    {
        lock (gate)
        {
            if (fetching || missed.Count == 0)
            {
                return;
            }
            fetching = true;
            var due = new Dictionary<Wanted, Gap>(missed);
            missed.Clear();
            _ = Task.Run(() => FetchAsync(due, stop), CancellationToken.None);
        }
    }

    private bool IsWanted(Wanted entry) => wanted.TryGetValue(entry.Item, out var current) && current == entry;

    private async Task FetchAsync(Dictionary<Wanted, Gap> due, CancellationToken stop)
    {
        try
        {
            await options.OnResync!(ResyncOf(due), stop).ConfigureAwait(false);
            lock (gate)
            {
                fetchFailures = 0;
            }
        }
        catch (Exception exception) when (!stop.IsCancellationRequested)
        {
            Fail(exception);
            TimeSpan delay;
            lock (gate)
            {
                foreach (var entry in due)
                {
                    MustFetch(entry.Key, entry.Value);
                }
                delay = RetryDelay(fetchFailures++, exception);
            }
            await Pause(delay, stop).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
        }
        lock (gate)
        {
            fetching = false;
        }
        work.Set();
    }

    // ResyncOf describes what is missing, for the application.
    private static Resync ResyncOf(Dictionary<Wanted, Gap> due)
    {
        var since = due.Values.Min(gap => gap.Since);
        var organizations = due.Values.Select(gap => gap.OrganizationId).Distinct().ToList();
        return new Resync
        {
            OrganizationId = organizations.Count == 1 ? organizations[0] : Guid.Empty,
            Reason = due.Values.Last().Reason,
            From = since == DateTimeOffset.MinValue ? null : since,
            To = DateTimeOffset.UtcNow,
            Total = due.Count,
            Subscriptions = due.Keys.Select(entry => new Subscription
            {
                EntityId = Guid.TryParse(entry.Item.EntityId, out var id) ? id : Guid.Empty,
                EventType = entry.Item.EventName,
            }).ToArray(),
        };
    }
}
