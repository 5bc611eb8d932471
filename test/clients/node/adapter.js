// Runs commands with Microsoft's JavaScript client, in Node and in a page. See ../doc.go for the commands.
//
// signalR and msgpack are the two packages of one release; print prints events of the client.
export function makeAdapter(signalR, msgpack, print) {
  const connections = new Map();
  const commands = {
    async open({ connection: number, url, token, protocol, skipNegotiation, transport, retryDelays }) {
      let builder = new signalR.HubConnectionBuilder()
        .withUrl(url, {
          accessTokenFactory: () => token,
          ...(transport ? { transport: signalR.HttpTransportType[transport] } : {}),
          ...(skipNegotiation ? { skipNegotiation, transport: signalR.HttpTransportType.WebSockets } : {}),
        })
        .configureLogging(signalR.LogLevel.None);
      if (protocol === "messagepack") {
        builder = builder.withHubProtocol(new msgpack.MessagePackHubProtocol());
      }
      if (retryDelays) {
        builder = builder.withAutomaticReconnect(retryDelays);
      }
      const connection = builder.build();
      const event = (name, more) => print({ connection: number, event: name, ...more });
      connection.on("MessageReceived", (message) => event("message", { message }));
      connection.onreconnecting((error) => event("reconnecting", { error: error?.message }));
      connection.onreconnected(() => event("reconnected"));
      connection.onclose((error) => event("closed", { error: error?.message }));
      await connection.start();
      connections.set(number, connection);
    },
    invoke: ({ connection, target, args }) => connections.get(connection).invoke(target, ...args),
    close: ({ connection }) => connections.get(connection).stop(),
  };
  return async (command) => {
    try {
      const result = await commands[command.do](command);
      return { id: command.id, result: result ?? null };
    } catch (error) {
      return { id: command.id, error: error.message };
    }
  };
}
