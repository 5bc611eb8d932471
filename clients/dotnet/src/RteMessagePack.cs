using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MessagePack;
using MessagePack.Formatters;
using MessagePack.Resolvers;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace RteServer.Client;

/// <summary>Lets a connection speak MessagePack with the classes of this package.</summary>
public static class RteMessagePackExtensions
{
    /// <summary>
    /// Speaks MessagePack. Names of properties may be in Pascal or in camel case, times may be timestamps or texts.
    /// Use it in place of AddMessagePackProtocol, on a HubConnectionBuilder or in RteClientOptions.ConfigureConnection.
    /// </summary>
    public static IHubConnectionBuilder AddRteMessagePackProtocol(this IHubConnectionBuilder builder) =>
        builder.AddMessagePackProtocol(options => options.SerializerOptions = MessagePackSerializerOptions.Standard
            .WithSecurity(MessagePackSecurity.UntrustedData)
            .WithResolver(CompositeResolver.Create(
                RteMessagePackResolver.Instance, ContractlessStandardResolver.Instance)));
}

/// <summary>Finds formatters for the classes of this package, and for JsonElement.</summary>
public sealed class RteMessagePackResolver : IFormatterResolver
{
    private RteMessagePackResolver()
    {
    }

    /// <summary>The one resolver.</summary>
    public static RteMessagePackResolver Instance { get; } = new();

    /// <inheritdoc/>
    public IMessagePackFormatter<T>? GetFormatter<T>()
    {
        if (typeof(T) == typeof(JsonElement))
        {
            return (IMessagePackFormatter<T>)(object)JsonElementFormatter.Instance;
        }
        // Classes of this package only: strings and numbers are better off with what MessagePack has.
        return typeof(T).Namespace == typeof(RteEvent).Namespace &&
            RteJsonContext.Default.GetTypeInfo(typeof(T)) is JsonTypeInfo<T> type
            ? new JsonBackedFormatter<T>(type)
            : null;
    }
}

/// <summary>Reads and writes what System.Text.Json can: one way to bind serves both protocols.</summary>
internal sealed class JsonBackedFormatter<T> : IMessagePackFormatter<T>
{
    private readonly JsonTypeInfo<T> type;

    public JsonBackedFormatter(JsonTypeInfo<T> type) => this.type = type;

    public T Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options) =>
        JsonElementFormatter.Instance.Deserialize(ref reader, options).Deserialize(type)!;

    public void Serialize(ref MessagePackWriter writer, T value, MessagePackSerializerOptions options) =>
        JsonElementFormatter.Instance.Serialize(ref writer, JsonSerializer.SerializeToElement(value, type), options);
}

/// <summary>Makes MessagePack JSON and JSON MessagePack.</summary>
internal sealed class JsonElementFormatter : IMessagePackFormatter<JsonElement>
{
    public static readonly JsonElementFormatter Instance = new();

    public JsonElement Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            Copy(ref reader, json, options);
        }
        using var document = JsonDocument.Parse(new ReadOnlyMemory<byte>(text.GetBuffer(), 0, (int)text.Length));
        return document.RootElement.Clone();
    }

    private static void Copy(ref MessagePackReader reader, Utf8JsonWriter json, MessagePackSerializerOptions options)
    {
        switch (reader.NextMessagePackType)
        {
            case MessagePackType.Nil:
                reader.ReadNil();
                json.WriteNullValue();
                break;
            case MessagePackType.Boolean:
                json.WriteBooleanValue(reader.ReadBoolean());
                break;
            case MessagePackType.Integer:
                if (reader.NextCode == MessagePackCode.UInt64)
                {
                    json.WriteNumberValue(reader.ReadUInt64());
                }
                else
                {
                    json.WriteNumberValue(reader.ReadInt64());
                }
                break;
            case MessagePackType.Float:
                var number = reader.ReadDouble();
                if (double.IsNaN(number) || double.IsInfinity(number))
                {
                    json.WriteNullValue(); // JSON has no such numbers
                }
                else
                {
                    json.WriteNumberValue(number);
                }
                break;
            case MessagePackType.String:
                json.WriteStringValue(reader.ReadString());
                break;
            case MessagePackType.Binary:
                var bytes = reader.ReadBytes();
                json.WriteBase64StringValue(bytes.HasValue ? bytes.Value.ToArray() : Array.Empty<byte>());
                break;
            case MessagePackType.Extension:
                json.WriteStringValue(RteTimeConverter.Format(reader.ReadDateTime()));
                break;
            case MessagePackType.Array:
                options.Security.DepthStep(ref reader);
                var items = reader.ReadArrayHeader();
                json.WriteStartArray();
                for (var i = 0; i < items; i++)
                {
                    Copy(ref reader, json, options);
                }
                json.WriteEndArray();
                reader.Depth--;
                break;
            case MessagePackType.Map:
                options.Security.DepthStep(ref reader);
                var members = reader.ReadMapHeader();
                json.WriteStartObject();
                for (var i = 0; i < members; i++)
                {
                    json.WritePropertyName(Name(ref reader));
                    Copy(ref reader, json, options);
                }
                json.WriteEndObject();
                reader.Depth--;
                break;
            default:
                throw new MessagePackSerializationException($"The code {reader.NextCode} is none of MessagePack.");
        }
    }

    private static string Name(ref MessagePackReader reader) => reader.NextMessagePackType switch
    {
        MessagePackType.String => reader.ReadString() ?? "",
        MessagePackType.Integer => reader.ReadInt64().ToString(CultureInfo.InvariantCulture),
        var type => throw new MessagePackSerializationException($"A name is of the type {type}."),
    };

    public void Serialize(ref MessagePackWriter writer, JsonElement value, MessagePackSerializerOptions options)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var members = new List<JsonProperty>(value.EnumerateObject());
                writer.WriteMapHeader(members.Count);
                foreach (var member in members)
                {
                    writer.Write(member.Name);
                    Serialize(ref writer, member.Value, options);
                }
                break;
            case JsonValueKind.Array:
                writer.WriteArrayHeader(value.GetArrayLength());
                foreach (var item in value.EnumerateArray())
                {
                    Serialize(ref writer, item, options);
                }
                break;
            case JsonValueKind.String:
                writer.Write(value.GetString());
                break;
            case JsonValueKind.Number when value.TryGetInt64(out var whole):
                writer.Write(whole);
                break;
            case JsonValueKind.Number:
                writer.Write(value.GetDouble());
                break;
            case JsonValueKind.True or JsonValueKind.False:
                writer.Write(value.GetBoolean());
                break;
            default:
                writer.WriteNil();
                break;
        }
    }
}
