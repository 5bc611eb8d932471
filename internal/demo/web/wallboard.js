// The wallboard of the demo call centre. It is an ordinary client of the hub: it requests a token, connects, subscribes
// to all entities and draws the events. With snapshots it shows all states at once.
"use strict";

const maxFeed = 200; // rows that are kept
const batch = 150; // items of one Subscribe: a hub message has a bound
const statusEvents = new Set(["UserStatus", "QueueStatus"]);
const stateEvents = new Set([...statusEvents, "CallbackChanged"]); // those that have snapshots

const entities = new Map(); // by id: {entityId, entityType, name, card, status}
const openCallbacks = new Map(); // by call list id: a set of callback ids
const heldBack = []; // events that came while the feed was on hold
let received = 0;
let filling = false; // states that arrive may be snapshots: they are drawn, but nothing has happened

const byId = (id) => document.getElementById(id);

// element returns a new element with a class and a text.
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// part adds a child to a card. The card keeps it by its name.
function part(card, tag, name, text) {
  const made = element(tag, name, text);
  card[name] = made;
  return made;
}

const makeCard = {
  Queue(entity) {
    const card = element("article", "card queue");
    const big = element("p", "big");
    big.append(part(card, "strong", "waiting", "–"), part(card, "span", "wait", "waiting"));
    const figures = element("dl");
    for (const [name, label] of [["talking", "talking"], ["free", "free"], ["ringing", "ringing"], ["agents", "agents"]]) {
      figures.append(element("dt", "", label), part(card, "dd", name, "–"));
    }
    card.append(element("h3", "", entity.name), big, figures);
    byId("queues").append(card);
    return card;
  },
  User(entity) {
    const card = element("article", "card agent");
    card.dataset.state = "unknown";
    card.append(element("span", "dot"), element("span", "name", entity.name), part(card, "span", "state", "not seen yet"));
    byId("agents").append(card);
    return card;
  },
  CallList(entity) {
    const card = element("article", "card list");
    card.append(part(card, "strong", "count", "0"), element("span", "name", entity.name), part(card, "span", "state", "open callbacks seen"));
    byId("lists").append(card);
    return card;
  },
};

// minutes formats seconds as 1:05.
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const name = (id) => entities.get(id)?.name ?? "";

// userState returns the state of a user and its text.
function userState(status) {
  if (!status.schedule) return ["off", "off work"];
  if (status.talking && status.servingCallback) return ["talking", "calling back"];
  if (status.talking) return ["talking", status.activeQueueId ? `on a call, ${name(status.activeQueueId)}` : "on a call"];
  if (status.wrapUpEnd) return ["wrapup", "wrapping up"];
  if (!status.available) return ["away", "away"];
  if (!status.serving) return ["unknown", "not in a queue"];
  return ["free", "free"];
}

function drawUser({ card, status }) {
  const [state, text] = userState(status);
  card.dataset.state = state;
  card.state.textContent = text;
}

function drawQueue({ card, status, seen }) {
  const waiting = status.nbrOfNotServedRequesters;
  card.dataset.load = status.nbrOfQueuingRequesters === 0 ? "none" : status.nbrOfQueuingRequesters < 4 ? "waiting" : "long";
  card.waiting.textContent = waiting;
  card.wait.textContent = waiting ? `waiting · ${minutes(status.maxWaitTime + (Date.now() - seen) / 1000)}` : "waiting";
  card.talking.textContent = status.nbrOfConnected;
  card.ringing.textContent = status.nbrOfAllocated;
  card.free.textContent = status.nbrOfAgentsImmediatelyFree;
  card.agents.textContent = status.nbrOfAgentsCheckedInQueue;
}

function drawFigures() {
  let waiting = 0, talking = 0, free = 0;
  for (const { entityType, status } of entities.values()) {
    if (!status) continue;
    if (entityType === "Queue") waiting += status.nbrOfNotServedRequesters;
    if (entityType === "User" && status.talking) talking++;
    if (entityType === "User" && status.canBeAllocatedTo) free++;
  }
  byId("waiting").textContent = waiting;
  byId("talking").textContent = talking;
  byId("free").textContent = free;
}

function drawCallback(entity, data) {
  const open = openCallbacks.get(entity.entityId);
  if (data.isClosed) open.delete(data.callBackId);
  else open.add(data.callBackId);
  entity.card.count.textContent = open.size;
}

// about summarizes an event in a few words.
function about(data) {
  const words = [];
  if (data.eventType.startsWith("UserCallOut")) words.push(`to ${data.targetNumber}`);
  else if (data.callerNumber) words.push(`from ${data.callerNumber}`);
  if (data.availability) words.push(data.availability, data.note ?? "");
  if (data.eventType === "CallbackChanged") {
    words.push(data.contactNumber, data.isClosed ? "closed" : data.created ? "new" : data.assignedUserId ? `taken by ${name(data.assignedUserId)}` : data.lastAttemptNote);
  }
  if (data.keyword) words.push(`${data.keyword} = ${data.value}`);
  if (data.conditionName) words.push(data.conditionName, data.value);
  if (data.reason) words.push(data.reason);
  return words.filter(Boolean).join(" · ");
}

function addToFeed({ subscription, data }, at) {
  const row = element("li");
  row.dataset.event = subscription.eventType;
  row.dataset.kind = subscription.entityType;
  const time = element("time", "", at.toLocaleTimeString([], { hour12: false }));
  time.dateTime = at.toISOString();
  const what = [name(subscription.entityId), about(data)].filter(Boolean).join(" · ");
  row.append(time, element("span", "event", subscription.eventType), element("span", "kind", subscription.entityType), element("span", "about", what));
  const feed = byId("feed");
  feed.prepend(row);
  while (feed.childElementCount > maxFeed) feed.lastElementChild.remove();
}

function show(message, at) {
  if (statusEvents.has(message.subscription.eventType) && !byId("show-status").checked) return;
  if (!byId("pause").checked) {
    addToFeed(message, at);
    return;
  }
  heldBack.push([message, at]);
  if (heldBack.length > maxFeed) heldBack.shift();
}

byId("pause").addEventListener("change", () => {
  if (byId("pause").checked) return;
  for (const [message, at] of heldBack.splice(0)) addToFeed(message, at);
});

function messageReceived(message) {
  const { subscription, data } = message;
  byId("received").textContent = (++received).toLocaleString("en");
  const entity = entities.get(subscription.entityId);
  if (entity && subscription.eventType === "UserStatus") {
    entity.status = data;
    drawUser(entity);
    drawFigures();
  } else if (entity && subscription.eventType === "QueueStatus") {
    Object.assign(entity, { status: data, seen: Date.now() });
    drawQueue(entity);
    drawFigures();
  } else if (entity && subscription.eventType === "CallbackChanged") {
    drawCallback(entity, data);
  }
  if (!filling || !stateEvents.has(subscription.eventType)) show(message, new Date());
}

// kindOf returns the kind of entity of an event.
const kindOf = (event) => (event.startsWith("User") ? "User" : event.startsWith("Queue") ? "Queue" : "CallList");

// subscribe subscribes to all events of all entities. The server refuses single items that this user may not see.
async function subscribe(connection) {
  const events = await connection.invoke("AvailableSubscriptions");
  const wanted = [];
  for (const { entityId, entityType } of entities.values()) {
    for (const event of events) {
      if (kindOf(event) === entityType) wanted.push({ EntityId: entityId, EventName: event });
    }
  }
  filling = true;
  try {
    for (let i = 0; i < wanted.length; i += batch) {
      await connection.invoke("Subscribe", wanted.slice(i, i + batch));
    }
    await connection.invoke("AvailableSubscriptions"); // the answer arrives after the snapshots
  } finally {
    filling = false;
  }
}

function showConnection(state, text) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = text ?? state;
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function getJSON(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}

// connect tries until it is connected and subscribed. After that, the client reconnects automatically.
async function connect() {
  for (let attempt = 0; ; attempt++) {
    let connection;
    try {
      if (entities.size === 0) {
        for (const entity of await getJSON("demo/entities")) {
          entities.set(entity.entityId, entity);
          entity.card = makeCard[entity.entityType](entity);
          if (entity.entityType === "CallList") openCallbacks.set(entity.entityId, new Set());
        }
      }
      const { WssEndpoint } = await getJSON("token/me/rte/");
      connection = new signalR.HubConnectionBuilder()
        .withUrl(WssEndpoint.replace(/^ws/, "http") + "?features=snapshot", { accessTokenFactory: async () => (await getJSON("token/me/rte/")).Token })
        .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ previousRetryCount }) => Math.min(500 * 2 ** previousRetryCount, 5000) })
        .configureLogging(signalR.LogLevel.Warning)
        .build();
      connection.on("MessageReceived", messageReceived);
      connection.onreconnecting(() => showConnection("reconnecting"));
      connection.onreconnected(async () => {
        await subscribe(connection); // the server keeps no state of the previous connection
        showConnection("connected");
      });
      await connection.start();
      await subscribe(connection);
      connection.onclose(async () => {
        showConnection("disconnected");
        await wait(2000);
        connect();
      });
      showConnection("connected");
      return;
    } catch (err) {
      console.warn(err);
      await connection?.stop();
      showConnection("disconnected", "not connected");
      await wait(Math.min(500 * 2 ** attempt, 5000));
    }
  }
}

setInterval(() => {
  for (const entity of entities.values()) {
    if (entity.entityType === "Queue" && entity.status) drawQueue(entity);
  }
}, 1000);

connect();
