using System;
using System.Collections.Generic;
using System.Text.Json.Serialization;

namespace RteServer.Client;

/// <summary>An event of an entity, as Subscribe and Unsubscribe take it.</summary>
public sealed class EntitySubscription : IEquatable<EntitySubscription>
{
    /// <summary>Names an event of an entity.</summary>
    [JsonConstructor]
    public EntitySubscription(string entityId, string eventName)
    {
        EntityId = entityId ?? throw new ArgumentNullException(nameof(entityId));
        EventName = eventName ?? throw new ArgumentNullException(nameof(eventName));
    }

    /// <summary>Names an event of an entity.</summary>
    public EntitySubscription(Guid entityId, string eventName) : this(entityId.ToString("D"), eventName)
    {
    }

    /// <summary>The id of a user, a queue or a call list.</summary>
    [JsonPropertyName("EntityId")]
    public string EntityId { get; }

    /// <summary>The name of an event, in any case.</summary>
    [JsonPropertyName("EventName")]
    public string EventName { get; }

    /// <inheritdoc/>
    public bool Equals(EntitySubscription? other) => other != null &&
        string.Equals(EntityId, other.EntityId, StringComparison.OrdinalIgnoreCase) &&
        string.Equals(EventName, other.EventName, StringComparison.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as EntitySubscription);

    /// <inheritdoc/>
    public override int GetHashCode() =>
        StringComparer.OrdinalIgnoreCase.GetHashCode(EntityId) * 31 +
        StringComparer.OrdinalIgnoreCase.GetHashCode(EventName);

    /// <inheritdoc/>
    public override string ToString() => EventName + " of " + EntityId;
}

/// <summary>The outcome of one subscription.</summary>
public sealed class SubscriptionResult
{
    /// <summary>Whether events will come.</summary>
    public bool Subscribed { get; set; }

    /// <summary>Why not; null if they will.</summary>
    public string? Message { get; set; }

    /// <summary>The entity, as it was asked for.</summary>
    public string EntityId { get; set; } = "";

    /// <summary>The name of the event, in lower case.</summary>
    public string EventName { get; set; } = "";

    /// <summary>
    /// Why not, in a word that does not change; null from a server that does not know the feature notices.
    /// </summary>
    public string? Code { get; set; }

    /// <summary>The number by which an operator finds the reason of a refusal.</summary>
    public string? TraceId { get; set; }

    internal bool IsUnavailable => !Subscribed && (Code == "unavailable" || Message == "Temporarily unavailable");
}

/// <summary>An active subscription. It comes with every event.</summary>
public sealed class Subscription
{
    /// <summary>Id of the subscription. A new connection has new ones.</summary>
    public Guid Id { get; set; }

    /// <summary>Whether the subscription is for all root entities.</summary>
    public bool AllRootEntities { get; set; }

    /// <summary>The root entity, which is the organization.</summary>
    public Guid RootEntityId { get; set; }

    /// <summary>Kind of the root entity.</summary>
    public string? RootEntityType { get; set; }

    /// <summary>The organization.</summary>
    public Guid OrganizationId { get; set; }

    /// <summary>Name of the event.</summary>
    public string EventType { get; set; } = "";

    /// <summary>Kind of the entity: User, Queue or CallList.</summary>
    public string? EntityType { get; set; }

    /// <summary>The entity.</summary>
    public Guid EntityId { get; set; }

    /// <summary>Whether the subscription is for all entities.</summary>
    public bool AllEntities { get; set; }
}

/// <summary>The argument of the client method MessageReceived, for those who register it on a HubConnection.</summary>
public sealed class MessageReceived<TEvent>
{
    /// <summary>The subscription that the event came for.</summary>
    public Subscription? Subscription { get; set; }

    /// <summary>The event.</summary>
    public TEvent? Data { get; set; }
}

/// <summary>Subscriptions that the server has ended, because they are no longer allowed.</summary>
public sealed class SubscriptionsEnded
{
    /// <summary>Why, in the words of <see cref="SubscriptionResult.Code"/>.</summary>
    public string? Code { get; set; }

    /// <summary>How many there were.</summary>
    public int Total { get; set; }

    /// <summary>Up to 500 of them.</summary>
    public IReadOnlyList<Subscription> Subscriptions { get; set; } = Array.Empty<Subscription>();
}

/// <summary>Events may be missing that will not come any more.</summary>
public sealed class Resync
{
    /// <summary>Whose events they were.</summary>
    public Guid OrganizationId { get; set; }

    /// <summary>
    /// Why: outage, trimmed, fork, overflow, unavailable, or reconnect of this client; later versions may have more.
    /// </summary>
    public string? Reason { get; set; }

    /// <summary>No missing event is older; null: not known. After a reconnect by the clock of this machine.</summary>
    [JsonConverter(typeof(RteTimeConverter))]
    public DateTimeOffset? From { get; set; }

    /// <summary>When the last of them was published; null: not known.</summary>
    [JsonConverter(typeof(RteTimeConverter))]
    public DateTimeOffset? To { get; set; }

    /// <summary>How many subscriptions of this connection are concerned.</summary>
    public int Total { get; set; }

    /// <summary>Up to 500 of them from the server; all of them in <see cref="RteClientOptions.OnResync"/>.</summary>
    public IReadOnlyList<Subscription> Subscriptions { get; set; } = Array.Empty<Subscription>();
}
