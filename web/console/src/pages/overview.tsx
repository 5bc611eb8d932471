import { bytes, count, plural, rate, short, span, time } from "../format.ts";
import { type NodeView, type Overview as Answer, type Sample, grown, live, problems, samples, shownSpan, watched } from "../live.ts";
import { Badge, Mark, type Tone, toneOfState } from "../parts/badge.tsx";
import { Chart, type Line } from "../parts/chart.tsx";
import { Panel, Section } from "../parts/panel.tsx";
import { Meter, Table } from "../parts/table.tsx";
import { now } from "../resource.ts";
import { linkTo } from "../router.ts";
import { mayAct } from "../session.ts";
import { Slowest, TopOrganizations } from "./organizations.tsx";

/** Overview shows the problems first, then the course of the last minutes, then the parts. */
export function Overview() {
  return (
    <>
      <Attention />
      <div class="tiles">
        {tiles.map((t) => <TileView key={t.title} tile={t} />)}
      </div>
      <Panel title="Nodes" resource={live} note={<NodesSummary />} rows={3}>{(o) => <NodeTable overview={o} />}</Panel>
      <div class="columns">
        <TopOrganizations limit={8} />
        <Slowest limit={8} />
      </div>
    </>
  );
}

/** Attention lists the problems, or reports that there are none. */
function Attention() {
  const all = problems.value;
  const data = live.data.value;
  if (data === undefined) return <Panel title="What is wrong" resource={live} rows={1}>{() => null}</Panel>;
  if (all.length === 0) {
    return (
      <section class={`well ${live.stale.value ? "is-stale" : ""}`} aria-label="What is wrong">
        <Mark tone={live.stale.value ? "warn" : "ok"} />
        <p>
          <b>{live.stale.value ? `Nothing was wrong at ${time(live.at.value)}.` : "Nothing is wrong."}</b>{" "}
          {plural(data.nodes.length, "node")} ready, no loss of events since {time(Date.now() - watched.value)}.
        </p>
      </section>
    );
  }
  return (
    <Section title="What is wrong" class="attention" note={<span class="dim">the worst first</span>}>
      <ul class="problems">
        {all.map((p, i) => (
          <li key={`${i} ${p.title}`} class={`problem problem-${p.tone}`}>
            <Mark tone={p.tone} />
            <p><b>{p.title}</b> <span>{p.detail}</span></p>
            {p.link && (mayAct.value || p.link !== linkTo("quarantine")) && <a href={p.link}>{p.linkText}</a>}
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Tile is a figure with its course. */
interface Tile {
  readonly title: string;
  readonly figure: (s: Sample) => string;
  readonly note: (s: Sample) => string;
  readonly tone?: () => Tone | undefined;
  readonly format: (n: number) => string;
  /** least is the least that the scale shows; whole: its figures are whole numbers. */
  readonly least: number;
  readonly whole?: boolean;
  readonly lines: readonly { readonly name: string; readonly color: string; readonly of: (s: Sample) => number }[];
}

const unknown = (n: number, format: (n: number) => string): string => (Number.isNaN(n) ? "–" : format(n));

const tiles: readonly Tile[] = [
  {
    title: "Connections", figure: (s) => count(s.connections), note: () => "open on all nodes", format: short, least: 5, whole: true,
    lines: [{ name: "connections", color: "--line-1", of: (s) => s.connections }],
  },
  {
    title: "Events", figure: (s) => `${unknown(s.events, rate)}/s`, note: (s) => `${unknown(s.matched, rate)}/s with subscribers`,
    format: rate, least: 5,
    lines: [
      { name: "received", color: "--line-1", of: (s) => s.events },
      { name: "matched", color: "--line-2", of: (s) => s.matched },
    ],
  },
  {
    title: "Deliveries", figure: (s) => `${unknown(s.deliveries, rate)}/s`, note: (s) => `${unknown(s.bytes, bytes)}/s written`,
    format: rate, least: 5, lines: [{ name: "deliveries", color: "--line-2", of: (s) => s.deliveries }],
  },
  {
    title: "Age, p99", figure: (s) => unknown(s.age, span), note: (s) => `${unknown(s.delay, span)} of it on the node`, format: span, least: 10,
    tone: () => ((samples.value.at(-1)?.age ?? 0) > 1000 ? "warn" : undefined),
    lines: [
      { name: "in all", color: "--line-3", of: (s) => s.age },
      { name: "on the node", color: "--line-1", of: (s) => s.delay },
    ],
  },
  {
    title: "Losses", figure: () => count(grown("losses")), note: (s) => `${count(s.dropped)} dropped just now`, format: short, least: 4, whole: true,
    tone: () => (grown("losses") > 0 ? "bad" : undefined),
    lines: [
      { name: "losses", color: "--line-4", of: (s) => s.losses },
      { name: "dropped", color: "--line-3", of: (s) => s.dropped },
    ],
  },
];

function TileView({ tile }: { tile: Tile }) {
  const all = samples.value;
  const latest = all.at(-1);
  const tone = tile.tone?.();
  const lines: Line[] = tile.lines.map((l) => ({ name: l.name, color: l.color, values: all.map(l.of) }));
  const label = `${tile.title}: the last ${span(Math.max(watched.value, 1000))}`;
  return (
    <Section title={tile.title} class={`tile ${tone ? `tile-${tone}` : ""} ${live.stale.value ? "is-stale" : ""}`}>
      <div class="panel-body">
        <p class="figure">{latest ? tile.figure(latest) : "–"}</p>
        <p class="dim tile-note">{latest ? tile.note(latest) : "no answer yet"}</p>
        <Chart label={label} times={all.map((s) => s.at)} lines={lines} format={tile.format} span={shownSpan.value}
          least={tile.least} whole={tile.whole ?? false} />
        {lines.length > 1 && (
          <ul class="legend">{lines.map((l, i) => <li key={l.name} class={`legend-${tile.lines[i]?.color.slice(2)}`}>{l.name}</li>)}</ul>
        )}
      </div>
    </Section>
  );
}

function NodesSummary() {
  const data = live.data.value;
  if (!data) return null;
  const ready = data.nodes.filter((n) => n.state === "ready").length;
  return <span class="dim">{ready} of {count(data.nodes.length + data.unanswered.length)} ready</span>;
}

/** NodeTable lists the nodes with their state and the state of Redis. */
export function NodeTable({ overview }: { overview: Answer }) {
  const most = overview.nodes.reduce((n, v) => Math.max(n, v.connections), 1);
  return (
    <Table
      caption="Nodes" rows={overview.nodes} keyOf={(n) => n.node}
      toneOf={(n) => (n.state === "degraded" || (n.redis.used && !n.redis.connected) ? "bad" : n.state === "ready" ? undefined : "warn")}
      columns={[
        { name: "Node", cell: (n) => <b>{n.node}</b> },
        { name: "State", cell: (n) => <Badge tone={toneOfState(n.state)}>{n.state}</Badge> },
        { name: "Redis", cell: (n) => <RedisBadge node={n} /> },
        { name: "Connections", number: true, cell: (n) => count(n.connections) },
        { name: "Part of all", unseen: true, cell: (n) => <Meter value={n.connections} max={most} /> },
        { name: "Events/s", number: true, cell: (n) => rate(n.eventsPerSecond) },
        { name: "Deliveries/s", number: true, cell: (n) => rate(n.deliveriesPerSecond) },
        { name: "Age p99", number: true, cell: (n) => (n.ageP99Ms === null ? <span class="dim">–</span> : span(n.ageP99Ms)) },
        { name: "Waiting", number: true, cell: (n) => bytes(n.waitingBytes) },
        { name: "Memory", number: true, cell: (n) => bytes(n.residentBytes) },
        { name: "CPU", number: true, cell: (n) => `${Math.round(n.processors * 100)} %` },
        { name: "Up for", number: true, cell: (n) => span(Math.max(now.value - Date.parse(n.started), 1000)) },
        { name: "Version", cell: (n) => <span class="cut version" title={n.version}>{n.version}</span> },
      ]}
    />
  );
}

export function RedisBadge({ node: n }: { node: NodeView }) {
  if (!n.redis.used) return <Badge tone="mute">not used</Badge>;
  return n.redis.connected ? <Badge tone="ok">connected</Badge> : <Badge tone="bad" title={n.redis.detail ?? ""}>away</Badge>;
}
