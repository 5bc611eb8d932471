// The state of all nodes, for the head of every page: the latest answer, its course, and the problems.
import { computed, signal } from "@preact/signals";
import type { Answers } from "../generated/operator.d.ts";
import { call } from "./api.ts";
import { bytes, count, plural, span } from "./format.ts";
import type { Tone } from "./parts/badge.tsx";
import { Resource, now } from "./resource.ts";
import { linkTo } from "./router.ts";

export type Overview = Answers["GET /api/overview"];
export type NodeView = Overview["nodes"][number];

/** interval is the time between two answers, in ms; kept is the longest time that the charts show, in ms. */
const interval = 2000;
const kept = 10 * 60_000;

/** remembered is how long the overview shows a past problem, such as a loss. */
const remembered = 10 * 60_000;

/** rateLimit is the longest time of a mean that counts as a current rate, in s. */
const rateLimit = 15;

/** Sample is the sum of all nodes at a time. NaN: not known. */
export interface Sample {
  readonly at: number;
  readonly connections: number;
  readonly events: number;
  readonly matched: number;
  readonly deliveries: number;
  readonly bytes: number;
  readonly age: number;
  readonly delay: number;
  readonly losses: number;
  readonly dropped: number;
}

/** Problem is a fault that an operator should see first. */
export interface Problem {
  readonly tone: Tone;
  readonly title: string;
  readonly detail: string;
  readonly link?: string;
  readonly linkText?: string;
}

/** Growth is the growth of a counter. */
interface Growth {
  readonly at: number;
  readonly node: string;
  readonly losses: number;
  readonly refused: number;
  readonly slow: number;
}

export const samples = signal<readonly Sample[]>([]);
const growths = signal<readonly Growth[]>([]);
let before = new Map<string, NodeView>();

export const live = new Resource<Overview>(async (ends) => {
  const answer = await call("GET /api/overview", { query: { nodes: "all" }, signal: ends });
  record(answer);
  return answer;
}, interval);

/** record adds an answer to the course. */
function record(answer: Overview): void {
  const at = Date.now();
  const latest = new Map(answer.nodes.map((n) => [n.node, n]));
  const grown: Growth[] = [];
  for (const [name, n] of latest) {
    const b = before.get(name);
    if (!b || b.started !== n.started) continue;
    const growth = {
      at, node: name, losses: n.totals.losses - b.totals.losses, refused: n.totals.refused - b.totals.refused,
      slow: n.totals.slow - b.totals.slow,
    };
    if (growth.losses > 0 || growth.refused > 0 || growth.slow > 0) grown.push(growth);
  }
  growths.value = [...growths.peek().filter((g) => at - g.at < remembered), ...grown];
  const difference = (of: (t: NodeView["totals"]) => number) => [...latest].reduce((sum, [name, n]) => {
    const b = before.get(name);
    return sum + (b && b.started === n.started ? of(n.totals) - of(b.totals) : 0);
  }, 0);
  const sum = (of: (n: NodeView) => number) => answer.nodes.reduce((total, n) => total + of(n), 0);
  const rate = (of: (n: NodeView) => number) =>
    (answer.nodes.every((n) => n.rateSeconds <= rateLimit) ? sum(of) : Number.NaN);
  const worst = (of: (n: NodeView) => number | null) => {
    const known = answer.nodes.filter((n) => n.rateSeconds <= rateLimit).map(of).filter((v) => v !== null);
    return known.length === 0 ? Number.NaN : Math.max(...known);
  };
  const sample: Sample = {
    at, connections: sum((n) => n.connections), events: rate((n) => n.eventsPerSecond),
    matched: rate((n) => n.matchedPerSecond), deliveries: rate((n) => n.deliveriesPerSecond),
    bytes: rate((n) => n.bytesPerSecond), age: worst((n) => n.ageP99Ms), delay: worst((n) => n.delayP99Ms),
    losses: difference((t) => t.losses), dropped: difference((t) => t.dropped - t.conflated),
  };
  samples.value = [...samples.peek().filter((s) => at - s.at < kept), sample];
  before = latest;
}

/** grown is the growth of a counter of all nodes while the console watched. */
export function grown(of: "losses" | "refused" | "slow"): number {
  return growths.value.reduce((sum, g) => sum + g[of], 0);
}

/** since is how long the console has watched, at most for the time that it remembers. */
export const watched = computed(() => Math.min(now.value - (samples.value[0]?.at ?? now.value), remembered));

/** shownSpan is the time that the charts show: it grows with their data. */
export const shownSpan = computed(() => [60_000, 3 * 60_000, kept].find((ms) => watched.value < ms) ?? kept);

/** problems lists the problems, the worst first. */
export const problems = computed<readonly Problem[]>(() => {
  const answer = live.data.value;
  if (!answer) return [];
  const found = [...answer.nodes.flatMap(problemsOf), ...problemsOfAll(answer)];
  const order = { bad: 0, warn: 1, info: 2, mute: 3, ok: 4 };
  return found.sort((a, b) => order[a.tone] - order[b.tone]);
});

/** problemsOf lists the problems of one node. */
function problemsOf(n: NodeView): Problem[] {
  const found: Problem[] = [];
  const nodes = { link: linkTo("nodes"), linkText: "Nodes" };
  const checks = n.problems.filter((p) => n.redis.connected || !n.redis.used || p.check !== "backplane");
  for (const p of checks) {
    found.push({ tone: "bad", title: `${n.node}: ${p.check}`, detail: p.detail, ...nodes });
  }
  if (n.redis.used && !n.redis.connected) {
    found.push({
      tone: "bad", title: `${n.node} has no Redis`,
      detail: `${n.redis.detail ?? "No message arrives"}. Clients stay connected and receive no new events.`, ...nodes,
    });
  }
  if (n.state === "draining" || n.departure.action === "drain") {
    found.push({
      tone: "warn", title: `${n.node} drains`, detail: departureOf(n) || "It refuses new clients.", ...nodes,
    });
  } else if (n.departure.action !== "none") {
    found.push({ tone: "info", title: `${n.node}: ${n.departure.action}`, detail: departureOf(n), ...nodes });
  } else if (n.state === "starting") {
    found.push({ tone: "warn", title: `${n.node} starts`, detail: "It does not accept clients yet.", ...nodes });
  }
  if (n.fullSockets > 0) {
    found.push({
      tone: "warn", title: `${plural(n.fullSockets, "slow client")} on ${n.node}`,
      detail: `${bytes(n.waitingBytes)} wait for ${n.fullSockets === 1 ? "a client that does" : "clients that do"} not read.`,
      link: linkTo("connections", "", { slow: true, order: "delay" }), linkText: "Slow connections",
    });
  }
  found.push(...limitsOf(n));
  return found;
}

/** limitsOf lists the limits to which a node comes close. */
function limitsOf(n: NodeView): Problem[] {
  const limits: readonly [string, number, number, (v: number) => string][] = [
    ["connections", n.connections, n.connectionsLimit, count], ["memory", n.memoryBytes, n.memoryLimitBytes, bytes],
    ["file descriptors", n.descriptors, n.descriptorsLimit, count],
  ];
  return limits.filter(([, used, limit]) => limit > 0 && used > 0.9 * limit).map(([what, used, limit, format]) => ({
    tone: "warn", title: `${n.node} is nearly full`, detail: `It uses ${format(used)} of ${format(limit)} ${what}.`,
    link: linkTo("nodes"), linkText: "Nodes",
  }));
}

/** leavingOf states how many clients leave, and over which time. */
export function leavingOf({ leaving = 0, overSeconds = 0 }: NodeView["departure"]): string {
  return `${plural(leaving, "client")} ${leaving === 1 ? "leaves" : "leave"} over ${span(overSeconds * 1000)}`;
}

/** departureOf describes a drain or a shed. */
export function departureOf(n: NodeView): string {
  const d = n.departure;
  if (d.action === "none") return "";
  const held = d.held ? ` It pauses: ${d.held}.` : "";
  return `${leavingOf(d)}, ${count(d.connections)} are connected.${held}`;
}

/** problemsOfAll lists the problems of the deployment. */
function problemsOfAll(answer: Overview): Problem[] {
  const found: Problem[] = answer.unanswered.map((silent) => ({
    tone: "bad", title: `${silent.node} does not answer`, detail: `It ${silent.detail}. The figures are without it.`,
    link: linkTo("nodes"), linkText: "Nodes",
  }));
  const span10 = span(Math.max(watched.value, 1000));
  const losses = grown("losses");
  if (losses > 0) {
    found.push({
      tone: "bad", title: `${plural(losses, "loss", "losses")} of events`,
      detail: `In the last ${span10}, nodes missed events and could not get them back. Their clients were notified.`,
      link: linkTo("events"), linkText: "Events",
    });
  }
  const refused = grown("refused");
  if (refused > 0) {
    found.push({
      tone: "warn", title: `${plural(refused, "faulty message")} of publishers`,
      detail: `Nodes refused ${refused === 1 ? "it" : "them"} in the last ${span10}.`,
      link: linkTo("quarantine"), linkText: "Quarantine",
    });
  }
  const slow = grown("slow");
  if (slow > 0) {
    found.push({
      tone: "warn", title: `${plural(slow, "connection")} ended as slow`,
      detail: `In the last ${span10}, the clients did not keep up.`,
      link: linkTo("connections", "", { order: "waiting" }), linkText: "Connections",
    });
  }
  return found;
}
