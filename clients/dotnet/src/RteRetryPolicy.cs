using System;
using Microsoft.AspNetCore.SignalR.Client;

namespace RteServer.Client;

/// <summary>
/// Retries without an end: soon at first, then ever later up to a longest delay, and never all clients at once. The
/// stock
/// policy of SignalR gives up after four attempts, 42 seconds, and then the connection is closed for good.
/// </summary>
public sealed class RteRetryPolicy : IRetryPolicy
{
    private static readonly Random Shared = new();
    private readonly double first;
    private readonly double longest;

    /// <summary>Makes a policy. By default the first delay is up to 1 s and the longest 30 s.</summary>
    public RteRetryPolicy(TimeSpan? first = null, TimeSpan? longest = null)
    {
        this.first = (first ?? TimeSpan.FromSeconds(1)).TotalMilliseconds;
        this.longest = (longest ?? TimeSpan.FromSeconds(30)).TotalMilliseconds;
        if (this.first <= 0 || this.longest < this.first)
        {
            throw new ArgumentOutOfRangeException(nameof(longest), "0 < first <= longest is required");
        }
    }

    /// <summary>Returns how long to wait before the next attempt: never null.</summary>
    public TimeSpan? NextRetryDelay(RetryContext retryContext)
    {
        var attempt = retryContext?.PreviousRetryCount ?? 0;
        var limit = Math.Min(longest, first * Math.Pow(2, Math.Min(attempt, 30)));
        double random;
        lock (Shared)
        {
            random = Shared.NextDouble();
        }
        // The first delay lies anywhere between none and its limit; later ones in the upper half.
        return TimeSpan.FromMilliseconds(attempt == 0 ? limit * random : limit / 2 + limit / 2 * random);
    }
}
