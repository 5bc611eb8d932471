using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace RteServer.Client;

// What waits for ServeAsync.
public sealed partial class RteClient
{
    private sealed class Wanted
    {
        public Wanted(EntitySubscription item)
        {
            Item = item;
            Bytes = Size(item);
        }

        public EntitySubscription Item { get; }
        public int Bytes { get; }
        public bool Pending { get; set; }

        // Granted reports whether the client's connection has it, also while it is subscribed to again.
        public bool Granted { get; set; }

        // Gap is since when its events may be missing; the application fetches them once it is granted. Null: none is.
        public Gap? Gap { get; set; }
        public long Attempts { get; set; }
        public DateTimeOffset NextTry { get; set; }
        public List<TaskCompletionSource<SubscriptionResult>> Waiters { get; } = new();

        // The most that an item takes in a message: what is not ASCII is six characters in JSON.
        public static int Size(EntitySubscription item) => 32 + Size(item.EntityId) + Size(item.EventName);

        private static int Size(string text) =>
            Encoding.UTF8.GetByteCount(text) == text.Length ? text.Length : 6 * text.Length;

        public void Miss(Gap gap) => Gap = gap.With(Gap);

        public void Finish(SubscriptionResult result)
        {
            Waiters.ForEach(waiter => waiter.TrySetResult(result));
            Waiters.Clear();
        }

        public void Abandon(Exception exception)
        {
            foreach (var waiter in Waiters)
            {
                waiter.TrySetException(exception);
                _ = waiter.Task.Exception; // observed, whether somebody still waits or not
            }
            Waiters.Clear();
        }
    }

    // Gap is a time since when events may be missing, and why. DateTimeOffset.MinValue: the time is not known.
    private sealed record Gap(DateTimeOffset Since, string? Reason, Guid OrganizationId)
    {
        public static Gap Of(Resync loss) =>
            new(loss.From ?? DateTimeOffset.MinValue, loss.Reason, loss.OrganizationId);

        // With returns this gap, which is as long as an earlier one at least.
        public Gap With(Gap? before) => before != null && before.Since < Since ? this with { Since = before.Since } : this;
    }

    private sealed class Ending
    {
        public Ending(List<EntitySubscription> items) => Items = items;

        public List<EntitySubscription> Items { get; }
        public TaskCompletionSource<bool> Done { get; } = New<bool>();
    }

    // Signal wakes one waiter up, now or when it comes.
    private sealed class Signal
    {
        private readonly SemaphoreSlim slot = new(0, 1);

        public void Set()
        {
            try
            {
                slot.Release();
            }
            catch (SemaphoreFullException)
            {
            }
        }

        public async Task WaitAsync(CancellationToken stop)
        {
            try
            {
                await slot.WaitAsync(stop).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }
}
