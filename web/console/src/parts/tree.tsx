// An event as a tree over the nodes: the outcome on each node, and for each connection.
import type { Answers } from "../../generated/operator.d.ts";
import { bytes, plural, span, time } from "../format.ts";
import { Badge, Mark, toneOfOutcome, wordOf } from "./badge.tsx";
import { ConnectionLink, FilterLink, Id } from "./id.tsx";

type EventTrace = Answers["GET /api/events/{id}"];
type Node = EventTrace["nodes"][number];
type EventRecord = Node["records"][number];
export type Fate = Node["connections"][number];

/** toneRank sorts problems to the top. */
const toneRank = { bad: 0, warn: 1, mute: 2, info: 3, ok: 4 };

/** EventTree shows a trace. */
export function EventTree({ trace }: { trace: EventTrace }) {
  const first = trace.nodes.flatMap((n) => n.records).find((r) => r.entity !== undefined);
  return (
    <ul class="tree">
      <li>
        <div class="tree-node">
          <b class="tree-title">{first?.type ?? "Event"}</b>
          <Id id={trace.event} whole />
          {first && (
            <span class="tree-facts">
              entity <Id id={first.entity ?? ""} />, organization <FilterLink by="organization" id={first.organization ?? ""} />,
              lane <code>{first.lane}</code>
            </span>
          )}
        </div>
        <ul>
          {trace.nodes.map((n) => <NodeBranch key={n.node} node={n} />)}
          {trace.unanswered.map((n) => (
            <li key={n.node}>
              <div class="tree-node"><Mark tone="warn" /><b>{n.node}</b> <Badge tone="warn">{n.detail}</Badge></div>
            </li>
          ))}
        </ul>
      </li>
    </ul>
  );
}

function NodeBranch({ node }: { node: Node }) {
  return (
    <li>
      <div class="tree-node">
        <b>{node.node}</b>
        {node.records.length === 0
          ? <Badge tone="mute">has no record of it since {time(node.since)}</Badge>
          : node.records.map((r) => <RecordLine key={r.at} record={r} />)}
      </div>
      <Fates fates={node.connections} more={node.more} />
    </li>
  );
}

function RecordLine({ record: r }: { record: EventRecord }) {
  const word = r.outcome === "matched" ? `matched ${plural(r.subscribers, "subscriber")}` : wordOf(r.outcome);
  return (
    <span class="tree-record">
      <Badge tone={toneOfOutcome(r.outcome)}>{word}</Badge>
      {r.reason && <b>{wordOf(r.reason)}</b>}
      <span class="dim">
        {time(r.at, true)}
        {r.ageMs != null && `, ${span(Math.max(r.ageMs, 0))} old`}
        {r.tier && `, tier ${r.tier}`}
        {r.bytes ? `, ${bytes(r.bytes)}` : ""}
      </span>
      {r.supersededBy && <span>superseded by <Id id={r.supersededBy} /></span>}
    </span>
  );
}

/** Fates lists the outcomes of an event for connections, problems first. */
export function Fates({ fates, more }: { fates: readonly Fate[]; more: boolean }) {
  const groups = new Map<string, Fate[]>();
  for (const fate of fates) {
    const group = groups.get(fate.outcome);
    if (group) group.push(fate);
    else groups.set(fate.outcome, [fate]);
  }
  const sorted = [...groups].sort(([a], [b]) => toneRank[toneOfOutcome(a)] - toneRank[toneOfOutcome(b)]);
  if (sorted.length === 0 && !more) return null;
  return (
    <ul>
      {sorted.map(([outcome, group]) => (
        <li key={outcome}>
          <details open={toneOfOutcome(outcome) !== "ok" || group.length <= 10}>
            <summary>
              <Badge tone={toneOfOutcome(outcome)}>{wordOf(outcome)}</Badge> {plural(group.length, "connection")}
            </summary>
            <ul>
              {group.map((c) => (
                <li key={c.connection}>
                  <div class="tree-node">
                    <span>connection <ConnectionLink id={c.connection} /></span>
                    <span>user <FilterLink by="user" id={c.user} /></span>
                    <span class="dim">{c.role}, {c.protocol}</span>
                    {c.detail !== outcome && <span class="tree-detail">{c.detail}</span>}
                    {c.by && <span>by <Id id={c.by} /></span>}
                  </div>
                </li>
              ))}
            </ul>
          </details>
        </li>
      ))}
      {more && <li><div class="tree-node dim">There are more connections than the node lists.</div></li>}
    </ul>
  );
}
