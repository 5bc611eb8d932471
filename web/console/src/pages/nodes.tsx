import { useState } from "preact/hooks";
import { call } from "../api.ts";
import { bytes, count, plural, rate, span } from "../format.ts";
import { type NodeView, departureOf, leavingOf, live } from "../live.ts";
import { Badge, toneOfState } from "../parts/badge.tsx";
import { Dialog, confirmed, perform } from "../parts/dialog.tsx";
import { Choice, Form, Text } from "../parts/form.tsx";
import { Panel } from "../parts/panel.tsx";
import { Facts, Meter } from "../parts/table.tsx";
import { now } from "../resource.ts";
import { linkTo } from "../router.ts";
import { mayAct } from "../session.ts";
import { RedisBadge } from "./overview.tsx";

/** Nodes shows each node, and the actions of an operator on it. */
export function Nodes() {
  return (
    <Panel title="Nodes" resource={live} rows={6} class="nodes" note={<span class="dim">of this deployment</span>}>
      {(o) => (
        <ul class="cards">
          {o.nodes.map((n) => <NodeCard key={n.node} node={n} alone={o.nodes.length === 1} />)}
          {o.unanswered.map((silent) => (
            <li class="card card-bad" key={silent.node}>
              <p class="card-head"><b>{silent.node}</b> <Badge tone="bad">{silent.detail}</Badge></p>
              <p class="dim">It stopped, it cannot reach Redis, or its secret is another one.</p>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function NodeCard({ node: n, alone }: { node: NodeView; alone: boolean }) {
  const leaving = departureOf(n);
  return (
    <li class={`card ${n.state === "degraded" ? "card-bad" : ""}`} aria-label={`Node ${n.node}`}>
      <p class="card-head">
        <b class="card-title">{n.node}</b>
        <Badge tone={toneOfState(n.state)}>{n.state}</Badge>
        <span>Redis <RedisBadge node={n} /></span>
        <span class="dim">{n.version}, {n.go}</span>
      </p>
      {n.problems.map((p) => <p class="line line-warn" key={p.check}><b>{p.check}</b> {p.detail}</p>)}
      {leaving !== "" && (
        <div class="departure">
          <p><Badge tone={n.departure.held ? "bad" : "warn"}>{n.departure.action}</Badge> {leaving}</p>
          {n.departure.action === "drain" && (
            <Meter value={(n.departure.leaving ?? 0) - n.connections} max={n.departure.leaving ?? 0} tone="warn" />
          )}
        </div>
      )}
      <Facts
        facts={[
          ["Connections", <Used used={n.connections} limit={n.connectionsLimit} format={count} />],
          ["Subscriptions", count(n.subscriptions)],
          ["Events, deliveries", `${rate(n.eventsPerSecond)}/s, ${rate(n.deliveriesPerSecond)}/s`],
          ["Waiting", `${bytes(n.waitingBytes)} for ${plural(n.fullSockets, "slow client")}`],
          ["Memory", <Used used={n.memoryBytes} limit={n.memoryLimitBytes} format={bytes} />],
          ["Descriptors", <Used used={n.descriptors} limit={n.descriptorsLimit} format={count} />],
          ["Up for", span(Math.max(now.value - Date.parse(n.started), 1000))],
          ["Since its start", `${plural(n.totals.losses, "loss", "losses")}, ${count(n.totals.refused)} refused, ` +
            `${plural(n.totals.slow, "slow client")}`],
        ]}
      />
      {mayAct.value && <Actions node={n} alone={alone} />}
    </li>
  );
}

/** Used shows how much of a limit is used. */
function Used({ used, limit, format }: { used: number; limit: number; format: (n: number) => string }) {
  if (limit <= 0) return <>{format(used)}</>;
  const tone = used > 0.9 * limit ? "bad" : used > 0.75 * limit ? "warn" : "info";
  return <span class="used">{format(used)} of {format(limit)} <Meter value={used} max={limit} tone={tone} /></span>;
}

/** connectionsOf finds out anew how many clients a node has: an operator should not decide by an old number. Sessions are
 * counted at that moment; the number of connections may be a second old. */
async function connectionsOf(node: string): Promise<number> {
  const { nodes } = await call("GET /api/overview", { query: { nodes: "all" } });
  const found = nodes.find((n) => n.node === node);
  if (!found) throw new Error(`${node} does not answer.`);
  return found.sessions;
}

function Actions({ node: n, alone }: { node: NodeView; alone: boolean }) {
  const [open, setOpen] = useState<"drain" | "shed" | "level" | "">("");
  const node = n.node;
  const close = () => setOpen("");
  const leaves = n.departure.action === "drain" || n.departure.action === "shed";

  const act = (work: () => Promise<string>) => {
    close();
    void perform(async () => {
      const done = await work();
      void live.refresh();
      return done;
    });
  };
  const drain = (over: string) => act(async () => {
    const yes = await confirmed({
      title: `Drain ${node}?`, action: "Drain", clients: await connectionsOf(node),
      text: alone ? "All clients leave, and no other node takes them: this is the only one."
        : "All clients leave for other nodes. The node refuses new ones until you cancel the drain.",
    });
    if (!yes) return "Nothing was changed.";
    const d = await call("POST /api/drain", { query: { node, over } });
    return `${node} drains: ${leavingOf(d)}.`;
  });
  const shed = (connections: string, over: string) => act(async () => {
    const clients = Math.min(Number(connections), await connectionsOf(node));
    const yes = await confirmed({
      title: `Send clients of ${node} away?`, action: "Shed", clients,
      text: alone ? "They may come back: this is the only node." : "They connect again, to whichever node the load balancer gives them.",
    });
    if (!yes) return "Nothing was changed.";
    const d = await call("POST /api/shed", { query: { node, connections, over } });
    return `${node} sheds: ${leavingOf(d)}.`;
  });
  const cancel = () => act(async () => {
    await call(n.departure.action === "drain" ? "DELETE /api/drain" : "DELETE /api/shed", { query: { node } });
    return `${node} keeps the rest of its clients.`;
  });
  const level = (wanted: string) => act(async () => {
    const set = await call("POST /api/log-level", { query: { node, level: wanted } });
    return `${node} logs at level ${set.level} until its next reload or restart.`;
  });
  const reload = () => act(async () => {
    const changes = await call("POST /api/reload", { query: { node } });
    const list = (keys: readonly string[]) => keys.join(", ") || "nothing";
    return `${node} reloaded: ${list(changes.applied)} changed; ${list(changes.restart)} needs a restart.`;
  });

  return (
    <div class="buttons card-actions">
      {leaves
        ? <button type="button" class="primary" onClick={() => cancel()}>Cancel {n.departure.action}</button>
        : (
          <>
            <button type="button" class="danger" onClick={() => setOpen("drain")}>Drain…</button>
            <button type="button" onClick={() => setOpen("shed")} disabled={n.connections === 0}>Shed…</button>
          </>
        )}
      <button type="button" onClick={() => setOpen("level")}>Log level…</button>
      <button type="button" onClick={() => reload()}>Reload</button>
      <a class="button" href={linkTo("connections")}>Connections</a>
      {open === "drain" && (
        <Dialog title={`Drain ${node}`} close={close}>
          <Form label="Drain" send={(v) => drain(v["over"] ?? "")}>
            <Text label="Over" name="over" placeholder="as configured" hint="a time such as 60s or 5m" />
            <div class="buttons"><button type="button" onClick={close}>Close</button><button type="submit" class="danger">Go on…</button></div>
          </Form>
        </Dialog>
      )}
      {open === "shed" && (
        <Dialog title={`Send clients of ${node} away`} close={close}>
          <Form label="Shed" send={(v) => shed(v["connections"] ?? "", v["over"] ?? "")}>
            <Text label={`Clients, of ${count(n.connections)}`} name="connections" type="number" required />
            <Text label="Over" name="over" placeholder="60s" hint="a time such as 60s or 5m" />
            <div class="buttons"><button type="button" onClick={close}>Close</button><button type="submit" class="danger">Go on…</button></div>
          </Form>
        </Dialog>
      )}
      {open === "level" && (
        <Dialog title={`Log level of ${node}`} close={close}>
          <Form label="Log level" send={(v) => level(v["level"] ?? "")}>
            <Choice label="Level" name="level" value="info"
              choices={[["debug", "debug"], ["info", "info"], ["warn", "warn"], ["error", "error"]]} />
            <div class="buttons"><button type="button" onClick={close}>Close</button><button type="submit" class="primary">Set</button></div>
          </Form>
        </Dialog>
      )}
    </div>
  );
}
