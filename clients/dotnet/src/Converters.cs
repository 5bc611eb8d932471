using System;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RteServer.Client;

/// <summary>
/// Reads the times of events: a time without a zone is UTC, and the sentinel values 0001-01-01 and 9999-12-31 stay the
/// ends of what a DateTimeOffset can be, whatever zone they come with and wherever the program runs.
/// </summary>
public sealed class RteTimeConverter : JsonConverter<DateTimeOffset>
{
    /// <inheritdoc/>
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out var time)
            ? time
            : throw new JsonException("The value is no time.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(Format(value.UtcDateTime));

    internal static string Format(DateTime utc) =>
        utc.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    internal static bool TryParse(string text, out DateTimeOffset time)
    {
        // Read apart from the zone: both together may lie beyond what a DateTimeOffset can be.
        var zone = TimeSpan.Zero;
        var local = text;
        if (text.EndsWith("Z", StringComparison.Ordinal))
        {
            local = text.Substring(0, text.Length - 1);
        }
        else if (text.Length > 6 && text[text.Length - 6] is '+' or '-' && text[text.Length - 3] == ':')
        {
            local = text.Substring(0, text.Length - 6);
            var offset = text.Substring(text.Length - 5);
            if (!TimeSpan.TryParseExact(offset, "hh\\:mm", CultureInfo.InvariantCulture, out zone))
            {
                time = default;
                return false;
            }
            zone = text[text.Length - 6] == '-' ? -zone : zone;
        }
        var fraction = local.IndexOf('.');
        if (fraction > 0 && local.Length > fraction + 8)
        {
            local = local.Substring(0, fraction + 8); // .NET has seven digits
        }
        if (!DateTime.TryParseExact(local, "yyyy-MM-dd'T'HH:mm:ss.FFFFFFF", CultureInfo.InvariantCulture,
            DateTimeStyles.None, out var clock))
        {
            time = default;
            return false;
        }
        var ticks = clock.Ticks - zone.Ticks;
        ticks = Math.Min(Math.Max(ticks, DateTime.MinValue.Ticks), DateTime.MaxValue.Ticks);
        time = new DateTimeOffset(ticks, TimeSpan.Zero);
        return true;
    }
}

/// <summary>Reads whole numbers also where they are written with a fraction of zero, as 3.0.</summary>
internal static class Whole
{
    public static long Read(ref Utf8JsonReader reader, long min, long max)
    {
        if (reader.TokenType != JsonTokenType.Number)
        {
            throw new JsonException($"The value is no number but {reader.TokenType}.");
        }
        if (!reader.TryGetInt64(out var value))
        {
            if (!reader.TryGetDecimal(out var number) || number != Math.Truncate(number) ||
                number < long.MinValue || number > long.MaxValue)
            {
                throw new JsonException("The value is no whole number.");
            }
            value = (long)number;
        }
        return value >= min && value <= max ? value : throw new JsonException("The number is too large.");
    }
}

internal sealed class WholeInt16Converter : JsonConverter<short>
{
    internal static short Read(ref Utf8JsonReader reader) =>
        (short)Whole.Read(ref reader, short.MinValue, short.MaxValue);

    public override short Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Read(ref reader);

    public override void Write(Utf8JsonWriter writer, short value, JsonSerializerOptions options) =>
        writer.WriteNumberValue(value);
}

internal sealed class WholeInt32Converter : JsonConverter<int>
{
    internal static int Read(ref Utf8JsonReader reader) => (int)Whole.Read(ref reader, int.MinValue, int.MaxValue);

    public override int Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Read(ref reader);

    public override void Write(Utf8JsonWriter writer, int value, JsonSerializerOptions options) =>
        writer.WriteNumberValue(value);
}

internal sealed class WholeInt64Converter : JsonConverter<long>
{
    internal static long Read(ref Utf8JsonReader reader) => Whole.Read(ref reader, long.MinValue, long.MaxValue);

    public override long Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        Read(ref reader);

    public override void Write(Utf8JsonWriter writer, long value, JsonSerializerOptions options) =>
        writer.WriteNumberValue(value);
}

/// <summary>Reads a value that is a name, or a number where publishers write that.</summary>
internal static class OpenValue
{
    public static string Read(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => reader.GetString()!,
        JsonTokenType.Number when reader.TryGetInt64(out var number) => number.ToString(CultureInfo.InvariantCulture),
        _ => throw new JsonException($"The value is no name but {reader.TokenType}."),
    };
}
