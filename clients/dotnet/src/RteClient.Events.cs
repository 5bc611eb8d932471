using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.Logging;

namespace RteServer.Client;

// What the server sends, and who takes it.
public sealed partial class RteClient
{
    private delegate Task Handler(JsonElement data, Subscription subscription);

    // Replaced as a whole under gate, read without it.
    private volatile Dictionary<string, Handler[]> handlers = new(StringComparer.OrdinalIgnoreCase);
    private volatile Handler[] all = Array.Empty<Handler>();

    /// <summary>
    /// Raised when an event cannot be made what a handler wants. Without a handler here it is logged as an error.
    /// </summary>
    public event Action<RteBindingFailure>? BindingFailed;

    /// <summary>
    /// Raised with what a handler of the application has thrown. Without a handler here it is logged as an error.
    /// </summary>
    public event Action<Exception>? HandlerFailed;

    /// <summary>
    /// Raised when the server has ended subscriptions that are no longer allowed. They are not tried again.
    /// </summary>
    public event Action<SubscriptionsEnded>? SubscriptionsEnded;

    /// <summary>Takes events of a type, in their order.</summary>
    /// <returns>What ends it.</returns>
    public IDisposable On<TEvent>(Action<TEvent> handler) where TEvent : RteEvent =>
        On<TEvent>((data, _) => handler(data));

    /// <summary>Takes events of a type with their subscription, in their order.</summary>
    /// <returns>What ends it.</returns>
    public IDisposable On<TEvent>(Action<TEvent, Subscription> handler) where TEvent : RteEvent =>
        On<TEvent>((data, subscription) =>
        {
            handler(data, subscription);
            return Task.CompletedTask;
        });

    /// <summary>Takes events of a type with their subscription. The next event waits until the task is done.</summary>
    /// <returns>What ends it.</returns>
    public IDisposable On<TEvent>(Func<TEvent, Subscription, Task> handler) where TEvent : RteEvent =>
        On(RteEvents.Names[typeof(TEvent)], TypeInfo<TEvent>(), handler);

    /// <summary>Takes events that only the server's own catalog has, as a class of the application.</summary>
    /// <returns>What ends it.</returns>
    public IDisposable On<TEvent>(string eventName, JsonTypeInfo<TEvent> type, Func<TEvent, Subscription, Task> handler)
    {
        Handler bound = async (data, subscription) =>
        {
            TEvent? value;
            try
            {
                value = data.Deserialize(type) ?? throw new JsonException("The event is null.");
            }
            catch (Exception exception)
                when (exception is JsonException or NotSupportedException or InvalidOperationException)
            {
                FailBinding(subscription.EventType, data, exception);
                return;
            }
            await handler(value, subscription).ConfigureAwait(false);
        };
        lock (gate)
        {
            var changed = new Dictionary<string, Handler[]>(handlers, StringComparer.OrdinalIgnoreCase);
            changed.TryGetValue(eventName, out var before);
            changed[eventName] = (before ?? Array.Empty<Handler>()).Append(bound).ToArray();
            handlers = changed;
        }
        return new Registration(() =>
        {
            var changed = new Dictionary<string, Handler[]>(handlers, StringComparer.OrdinalIgnoreCase);
            changed[eventName] = changed[eventName].Where(other => other != bound).ToArray();
            handlers = changed;
        }, gate);
    }

    /// <summary>
    /// Takes every event as JSON, whatever the hub protocol. With MessagePack the names are as published.
    /// </summary>
    /// <returns>What ends it.</returns>
    public IDisposable OnAny(Action<JsonElement, Subscription> handler)
    {
        Handler bound = (data, subscription) =>
        {
            handler(data, subscription);
            return Task.CompletedTask;
        };
        lock (gate)
        {
            all = all.Append(bound).ToArray();
        }
        return new Registration(() => all = all.Where(other => other != bound).ToArray(), gate);
    }

    private void RegisterHandlers(Link from)
    {
        var connection = from.Connection;
        connection.On<JsonElement>("MessageReceived", message => Receive(from, message));
        connection.On<JsonElement>("Closing", _ => Announce(from));
        connection.On<JsonElement>("SubscriptionsEnded", Receive<SubscriptionsEnded>(ended =>
        {
            Drop(ended);
            Raise(SubscriptionsEnded, ended);
        }));
        connection.On<JsonElement>("Resync", Receive<Resync>(loss => Enqueue(from, loss)));
    }

    private async Task Receive(Link from, JsonElement message)
    {
        Subscription subscription;
        JsonElement data;
        try
        {
            data = Property(message, "data", "Data");
            subscription = Property(message, "subscription", "Subscription").Deserialize(TypeInfo<Subscription>())
                ?? throw new JsonException("The subscription is null.");
        }
        catch (Exception exception)
            when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            FailBinding("", message, exception);
            return;
        }
        var received = new Message(subscription, data);
        if (!await WaitsAsync(from, received).ConfigureAwait(false))
        {
            await Deliver(from, received).ConfigureAwait(false);
        }
    }

    private async Task Deliver(Link from, Message received)
    {
        if (!Remember(from, received))
        {
            return;
        }
        var (subscription, data) = received;
        handlers.TryGetValue(subscription.EventType, out var typed);
        foreach (var handler in (typed ?? Array.Empty<Handler>()).Concat(all))
        {
            try
            {
                await handler(data, subscription).ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                Fail(exception);
            }
        }
    }

    private Action<JsonElement> Receive<T>(Action<T> take) => message =>
    {
        try
        {
            take(message.Deserialize(TypeInfo<T>())!);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            FailBinding(typeof(T).Name, message, exception);
        }
    };

    private static JsonTypeInfo<T> TypeInfo<T>() => (JsonTypeInfo<T>)RteJsonContext.Default.GetTypeInfo(typeof(T))!;

    private static JsonElement Property(JsonElement element, string camel, string pascal) =>
        element.TryGetProperty(camel, out var value) ? value : element.GetProperty(pascal);

    private void FailBinding(string eventName, JsonElement message, Exception exception)
    {
        if (BindingFailed == null)
        {
            log.LogError(exception, "an event cannot be bound: {EventName}", eventName);
            return;
        }
        Raise(BindingFailed, new RteBindingFailure(eventName, message.GetRawText(), exception));
    }

    private void Fail(Exception exception)
    {
        var told = HandlerFailed;
        if (told == null)
        {
            log.LogError(exception, "a handler of the application has failed");
            return;
        }
        try
        {
            told(exception);
        }
        catch (Exception again)
        {
            log.LogError(again, "the handler of failures has failed");
        }
    }

    private sealed class Registration : IDisposable
    {
        private readonly object gate;
        private Action? end;

        public Registration(Action end, object gate) => (this.end, this.gate) = (end, gate);

        public void Dispose()
        {
            lock (gate)
            {
                end?.Invoke();
                end = null;
            }
        }
    }
}
