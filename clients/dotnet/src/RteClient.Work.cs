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
        public long Attempts { get; set; }
        public DateTimeOffset NextTry { get; set; }
        public List<TaskCompletionSource<SubscriptionResult>> Waiters { get; } = new();

        // The most that an item takes in a message: what is not ASCII is six characters in JSON.
        public static int Size(EntitySubscription item) => 32 + Size(item.EntityId) + Size(item.EventName);

        private static int Size(string text) =>
            Encoding.UTF8.GetByteCount(text) == text.Length ? text.Length : 6 * text.Length;

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
