// An application with the helper, in Node and in a page: its view is what it has received and reloaded.

/** Returns what the test may call. Each topic is {entityId, eventName}. */
export function application(rte, tokenUrl, truthUrl, print) {
  const reasons = []; // for which the helper requested tokens
  const states = []; // of the helper, in order
  const discontinuities = [];
  const errors = [];
  const calls = new Map(); // numbers of call events by topic
  const last = new Map(); // newest number by topic
  const delivered = new Map(); // how often an event came, by topic and number
  const subscriptions = new Map();

  const nameOf = ({ entityId, eventName }) => `${entityId} ${eventName}`;
  const numberOf = (event) => Number(event.parkedCalls ?? event.nbrOfRequesters ?? event.callerNumber);
  const add = (name, number) => {
    if (!calls.has(name)) calls.set(name, new Set());
    calls.get(name).add(number);
    last.set(name, Math.max(number, last.get(name) ?? 0));
  };
  const receive = (event) => {
    const name = nameOf({ entityId: event.entityId, eventName: event.eventType });
    const key = `${name} ${numberOf(event)}`;
    delivered.set(key, (delivered.get(key) ?? 0) + 1);
    if (numberOf(event) < (last.get(name) ?? 0) && event.eventType === "UserCallInArrived" && !calls.get(name).has(numberOf(event))) {
      errors.push(`${key} came after ${last.get(name)}`);
    }
    add(name, numberOf(event));
  };

  const client = new rte.RteClient({
    token: async (reason) => {
      reasons.push(reason);
      return (await fetch(`${tokenUrl}?reason=${reason}`)).json();
    },
    retryDelay: (failures) => Math.min(1000, 100 * 2 ** failures) * Math.random(),
    onError: (error) => errors.push(String(error)),
    configure: (builder) => builder.withServerTimeout(4000),
  });
  for (const name of ["UserStatus", "QueueStatus", "UserCallInArrived"]) client.on(name, receive);
  client.onState(({ kind, reason }) => states.push(`${kind}: ${reason}`));
  client.onDiscontinuity(async ({ reason, from, topics }) => {
    const shown = topics.map((topic) => [nameOf(topic), last.get(nameOf(topic)) ?? 0]);
    discontinuities.push({ reason, from, shown: Object.fromEntries(shown) });
    const truth = await (await fetch(truthUrl)).json();
    for (const topic of topics) for (const number of truth[nameOf(topic)] ?? []) add(nameOf(topic), number);
  });

  return {
    start: () => void client.start().catch((error) => print({ gone: String(error) })),
    stop: () => client.stop(),
    subscribe: async ({ topics, wait }) => {
      for (const topic of topics) subscriptions.set(nameOf(topic), client.subscribe(topic.entityId, topic.eventName));
      if (wait) await Promise.all([...subscriptions.values()].map((each) => each.ready));
    },
    unsubscribe: ({ topics }) => topics.forEach((topic) => subscriptions.get(nameOf(topic)).unsubscribe()),
    // A second part of the application, which begins to show a topic.
    again: async ({ topics }) => {
      const got = [];
      const part = client.subscribe(topics[0].entityId, topics[0].eventName, (event) => got.push(numberOf(event)));
      await part.ready;
      await new Promise((resolve) => setTimeout(resolve));
      part.unsubscribe();
      return got;
    },
    active: async () => (await client.activeSubscriptions()).length,
    see: () => ({
      state: client.state.kind, reason: client.state.reason, reasons, states, discontinuities, errors,
      calls: Object.fromEntries([...calls].map(([name, numbers]) => [name, [...numbers].sort((a, b) => a - b)])),
      last: Object.fromEntries(last),
      twice: [...delivered].filter(([, times]) => times > 1).map(([key]) => key),
      subscriptions: Object.fromEntries([...subscriptions].map(([name, s]) => [name, `${s.state} ${s.reason}`.trim()])),
    }),
  };
}
