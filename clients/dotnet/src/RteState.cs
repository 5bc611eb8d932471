using System;

namespace RteServer.Client;

/// <summary>Whether what the application shows is right.</summary>
public enum RteStateKind
{
    /// <summary>Connected, and subscribed to everything that was asked for. What comes is what there is.</summary>
    Right,

    /// <summary>What the application shows may be old: it connects, subscribes, or fetches what was missed.</summary>
    Behind,

    /// <summary>Over: the application has stopped it, or there is no token any more.</summary>
    Gone,
}

/// <summary>The one state that an application sees.</summary>
public sealed class RteState
{
    internal RteState(RteStateKind kind, DateTimeOffset since, string why)
    {
        Kind = kind;
        Since = since;
        Why = why;
    }

    /// <summary>Right, behind or gone.</summary>
    public RteStateKind Kind { get; }

    /// <summary>Since when the kind is what it is. It stays while only the reason changes.</summary>
    public DateTimeOffset Since { get; }

    /// <summary>Why it is not right, for people; empty if it is.</summary>
    public string Why { get; }

    /// <inheritdoc/>
    public override string ToString() =>
        Kind == RteStateKind.Right ? "right" : $"{Kind.ToString().ToLowerInvariant()} since {Since:O}: {Why}";
}

/// <summary>An event that could not be made what a handler wants. It is not lost: here is its text.</summary>
public sealed class RteBindingFailure
{
    internal RteBindingFailure(string eventName, string json, Exception exception)
    {
        EventName = eventName;
        Json = json;
        Exception = exception;
    }

    /// <summary>Name of the event; empty if not even that could be read.</summary>
    public string EventName { get; }

    /// <summary>The message as JSON, whatever the hub protocol.</summary>
    public string Json { get; }

    /// <summary>What was wrong, with the path of the property.</summary>
    public Exception Exception { get; }
}
