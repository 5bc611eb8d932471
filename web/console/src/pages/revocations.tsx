import { call } from "../api.ts";
import { count, isGUID, span, time } from "../format.ts";
import { Badge } from "../parts/badge.tsx";
import { confirmed, perform } from "../parts/dialog.tsx";
import { Choice, Form, Text, guidPattern } from "../parts/form.tsx";
import { FilterLink, Id } from "../parts/id.tsx";
import { Panel, Section } from "../parts/panel.tsx";
import { Table } from "../parts/table.tsx";
import { now, useResource } from "../resource.ts";
import { go, linkTo, route } from "../router.ts";
import { mayAct } from "../session.ts";

/** Revocation is an entry of the list; times are Unix times in seconds. */
interface Revocation {
  readonly jti?: string;
  readonly user?: string;
  readonly before?: number;
  readonly undone?: boolean;
  readonly at?: number;
  readonly until?: number;
}

/** Revocations lists revoked tokens, revokes, and ends revocations. */
export function Revocations() {
  const { query } = route.value;
  const wanted = { user: query.get("user") ?? "", jti: query.get("jti") ?? "" };
  const list = useResource(
    (signal) => call("GET /api/revocations", { query: { ...wanted, limit: 200 }, signal }), 5000, query.toString(),
  );

  const undo = (r: Revocation) => perform(async () => {
    const yes = await confirmed({
      title: "End this revocation?", action: "End it", clients: 0,
      text: <>Tokens of {r.user ? <>user <code>{r.user}</code></> : <>the id <code>{r.jti}</code></>} are accepted again on all nodes.</>,
    });
    if (!yes) return "Nothing was changed.";
    const answer = await call("DELETE /api/revocations", { query: r.user ? { user: r.user } : { jti: r.jti } });
    void list.refresh();
    return answer.detail ?? "The revocation has ended on all nodes.";
  });

  return (
    <>
      {mayAct.value && <Revoke done={() => void list.refresh()} />}
      <Panel
        title="In force" resource={list} rows={5}
        note={list.data.value && <span class="dim">{count(list.data.value.matching)} on all nodes</span>}
        empty={{
          when: (l) => l.revocations.length === 0, text: query.size > 0 ? "No revocation matches." : "No token is revoked.",
          hint: query.size > 0 ? <a href={linkTo("revocations")}>Show all</a>
            : "A revocation refuses tokens before their end, and ends their connections.",
        }}
      >
        {(l) => (
          <Table
            caption="Revocations" rows={l.revocations as readonly Revocation[]} keyOf={(r) => `${r.user} ${r.jti} ${r.at}`}
            columns={[
              { name: "Covers", cell: (r) => (r.user ? "tokens of a user" : "one token") },
              {
                name: "User or token",
                cell: (r) => (r.user ? <><FilterLink by="user" id={r.user} /> <Id id={r.user} whole /></> : <Id id={r.jti ?? ""} whole />),
              },
              { name: "Issued before", cell: (r) => (r.before ? time(r.before * 1000) : <span class="dim">any time</span>) },
              { name: "Revoked", cell: (r) => (r.at ? time(r.at * 1000) : "") },
              { name: "Ends in", number: true, cell: (r) => (r.until ? span(Math.max(r.until * 1000 - now.value, 0)) : "") },
              { name: "State", cell: (r) => (r.undone ? <Badge tone="mute">undone</Badge> : <Badge tone="warn">in force</Badge>) },
              ...(mayAct.value ? [{
                name: "Action",
                cell: (r: Revocation) => !r.undone && <button type="button" onClick={() => void undo(r)}>Undo…</button>,
              }] : []),
            ]}
          />
        )}
      </Panel>
      <Form label="Filter" class="filters" reset={query.toString()} send={(v) => go("revocations", "", v)}>
        <Text label="Only of user" name="user" value={wanted.user} placeholder="GUID" pattern={guidPattern} wide />
        <Text label="Only of token" name="jti" value={wanted.jti} placeholder="jti" wide />
        <div class="buttons"><button type="submit">Filter</button></div>
      </Form>
    </>
  );
}

function Revoke({ done }: { done: () => void }) {
  const revoke = (values: Record<string, string>) => perform(async () => {
    const of = values["of"] ?? "";
    const byUser = isGUID(of) && values["kind"] === "user";
    if (values["kind"] === "user" && !byUser) throw new Error("A user is a GUID.");
    const concerned = byUser
      ? (await call("GET /api/connections", { query: { user: of, nodes: "all", limit: 0 } })).matching
      : await connectionsOfToken(of);
    const yes = await confirmed({
      title: byUser ? "Revoke the tokens of this user?" : "Revoke this token?", action: "Revoke", clients: concerned,
      text: byUser ? <>All tokens of user <code>{of}</code> that were issued until now are refused, and their connections end.</>
        : <>The token <code>{of}</code> is refused, and its connections end.</>,
    });
    if (!yes) return "Nothing was changed.";
    const hours = Number(values["hours"] ?? "");
    const until = hours > 0 ? { until: Math.round(Date.now() / 1000 + hours * 3600) } : {};
    const answer = await call("POST /api/revoke", { body: JSON.stringify({ ...(byUser ? { user: of } : { jti: of }), ...until }) });
    done();
    return answer.detail ?? `Revoked on ${answer.nodes === "all" ? "all nodes" : "this node"}.`;
  });
  return (
    <Section title="Revoke" note={<span class="dim">on all nodes</span>}>
      <Form label="Revoke" send={(values) => void revoke(values)}>
        <Choice label="What" name="kind" value="user" choices={[["user", "all tokens of a user"], ["jti", "one token"]]} />
        <Text label="User or token id" name="of" placeholder="GUID, or the jti of the token" required wide />
        <Text label="For hours" name="hours" type="number" placeholder="as configured" />
        <div class="buttons"><button type="submit" class="danger">Revoke…</button></div>
      </Form>
    </Section>
  );
}

/** connectionsOfToken counts the connections with a token, among the first that the nodes list. */
async function connectionsOfToken(jti: string): Promise<number> {
  const list = await call("GET /api/connections", { query: { nodes: "all", limit: 10_000 } });
  return list.connections.filter((c) => c.jti === jti).length;
}
