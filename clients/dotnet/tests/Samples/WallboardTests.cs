using System.Text.Json.Nodes;
using System.Threading.Tasks;
using RteServer.Client;
using Xunit;

public class WallboardTests(RteServerFixture server) : IClassFixture<RteServerFixture>
{
    [Fact]
    public async Task Queue_isShown()
    {
        var shown = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var client = new RteClient(new RteClientOptions { Url = server.Hub,
            AccessToken = server.TokenAsync });
        client.On<QueueStatus>(queue =>
        {
            if (queue.QueueName == "Mine")
            {
                shown.TrySetResult(queue.NbrOfQueuingRequesters);
            }
        });
        await client.StartAsync();
        var results = await client.SubscribeAsync(server.Queue, RteEvents.QueueStatus);
        Assert.True(results[0].Subscribed, results[0].Message);

        await server.PublishAsync("QueueStatus", new JsonObject { ["QueueName"] = "Mine",
            ["NbrOfQueuingRequesters"] = 7 });

        Assert.Equal(7, await shown.Task);
    }
}
