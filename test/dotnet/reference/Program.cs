// The hub that the differential test compares rte-server with: the five methods on ASP.NET Core SignalR, with the same
// tokens. What its methods return has the shape of the original, and nothing behind it.
//
//   dotnet Reference.dll SECRET ISSUER AUDIENCE --urls http://127.0.0.1:0
//
// It prints the URL that it listens on, and ends with its standard input.

using System.Text;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.IdentityModel.Tokens;

var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddAuthorization();
builder.Services.AddAuthentication(JwtBearerDefaults.AuthenticationScheme).AddJwtBearer(options =>
{
    options.MapInboundClaims = false;
    options.TokenValidationParameters = new TokenValidationParameters
    {
        IssuerSigningKey = new SymmetricSecurityKey(Encoding.UTF8.GetBytes(args[0])),
        ValidIssuer = args[1],
        ValidAudience = args[2],
        ClockSkew = TimeSpan.Zero,
    };
    // As Microsoft's documentation teaches it: browsers have the token in the query only.
    options.Events = new JwtBearerEvents
    {
        OnMessageReceived = context =>
        {
            context.Token = context.Request.Query["access_token"].FirstOrDefault(token => !string.IsNullOrEmpty(token));
            return Task.CompletedTask;
        },
    };
});
// With a limit for messages ASP.NET Core 10.0.12 hangs on types that it does not know.
builder.Services.AddSignalR(options => options.MaximumReceiveMessageSize = null).AddMessagePackProtocol();

var app = builder.Build();
app.UseAuthentication();
app.UseAuthorization();
app.MapHub<Rte>("/rte", options =>
{
    options.Transports = HttpTransportType.WebSockets;
    options.AllowStatefulReconnects = true;
});
// The same with all transports.
app.MapHub<Rte>("/all", options => options.LongPolling.PollTimeout = TimeSpan.FromSeconds(2));
await app.StartAsync();
Console.WriteLine(app.Urls.First());
await Console.In.ReadToEndAsync();
await app.StopAsync(new CancellationToken(true));

[Authorize]
public sealed class Rte : Hub
{
    public sealed class Item
    {
        public string? EntityId { get; set; }
        public string? EventName { get; set; }
    }

    public sealed class Result
    {
        public bool Subscribed { get; set; }
        public string? Message { get; set; }
        public string? EntityId { get; set; }
        public string? EventName { get; set; }
    }

    public Result[] Subscribe(Item[] items) => Array.ConvertAll(items, Answer);

    public Result[] Unsubscribe(Item[] items) => Array.ConvertAll(items, Answer);

    public bool UnsubscribeAll() => true;

    public string[] AvailableSubscriptions() => new string[31];

    public Result[] ActiveSubscriptions() => [];

    private static Result Answer(Item item) =>
        new() { Subscribed = true, EntityId = item.EntityId, EventName = item.EventName?.ToLowerInvariant() };
}
