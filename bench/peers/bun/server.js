// A hub on the WebSocket server of Bun (uWebSockets) with its native publish: one topic of Bun per topic, and nothing
// else. Usage: bun server.js ADDRESS:PORT ADDRESS:PORT, for clients and for events by the protocol of package ingest.

const [clients, events] = process.argv.slice(2).map((address) => {
  const [hostname, port] = address.split(":");
  return { hostname, port: Number(port) };
});

const end = "\x1e";

// answer answers a record of a client: the handshake or a call of Subscribe.
function answer(socket, record) {
  const message = JSON.parse(record);
  if (message.protocol) {
    socket.send("{}" + end);
    return;
  }
  if (message.target !== "Subscribe") return;
  const result = message.arguments[0].map(({ EntityId, EventName }) => {
    const eventName = EventName.toLowerCase();
    socket.subscribe(EntityId + "." + eventName);
    return { subscribed: true, message: null, entityId: EntityId, eventName };
  });
  socket.send(JSON.stringify({ type: 3, invocationId: message.invocationId, result }) + end);
}

const server = Bun.serve({
  ...clients,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    message(socket, text) {
      for (const record of text.split(end)) if (record) answer(socket, record);
    },
  },
});

// take publishes the complete batches of data and returns the rest. It calls taken after each batch.
function take(data, taken) {
  const text = new TextDecoder();
  for (;;) {
    let at = 4;
    const parts = [];
    const count = data.length < 4 ? -1 : data.readUInt32LE(0);
    while (parts.length < 2 * count && at + 4 <= data.length) {
      const size = data.readUInt32LE(at);
      if (at + 4 + size > data.length) break;
      parts.push(data.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    if (count < 0 || parts.length < 2 * count) return data;
    for (let i = 0; i < parts.length; i += 2) {
      const message = '{"type":1,"target":"MessageReceived","arguments":[' + text.decode(parts[i + 1]) + "]}" + end;
      server.publish(text.decode(parts[i]), message);
    }
    taken();
    data = data.subarray(at);
  }
}

Bun.listen({
  ...events,
  socket: {
    open: (socket) => (socket.data = Buffer.alloc(0)),
    data(socket, bytes) {
      socket.data = Buffer.from(take(Buffer.concat([socket.data, bytes]), () => socket.write("\x01")));
    },
  },
});
