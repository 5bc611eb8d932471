import type { ComponentChildren, FunctionComponent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Login, arrive } from "./login.tsx";
import { live, problems } from "./live.ts";
import { Connections } from "./pages/connections.tsx";
import { ConnectionPage } from "./pages/connection.tsx";
import { Events } from "./pages/events.tsx";
import { Nodes } from "./pages/nodes.tsx";
import { Organizations } from "./pages/organizations.tsx";
import { Overview } from "./pages/overview.tsx";
import { Quarantine } from "./pages/quarantine.tsx";
import { Revocations } from "./pages/revocations.tsx";
import { TapPage } from "./pages/tap.tsx";
import { Topics } from "./pages/topics.tsx";
import { span, time } from "./format.ts";
import { Badge } from "./parts/badge.tsx";
import { Confirmation, Dialog } from "./parts/dialog.tsx";
import { Notices, announce } from "./parts/notices.tsx";
import { now } from "./resource.ts";
import { go, linkTo, route } from "./router.ts";
import { type Role, leave, mayAct, state } from "./session.ts";
import { enable, enabled, listen } from "./shortcuts.ts";
import { nextTheme, theme } from "./theme.ts";

interface Page {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly group: "Watch" | "Find out" | "Act";
  readonly show: FunctionComponent;
  /** operator hides the page from readers. */
  readonly operator?: boolean;
}

const pages: readonly Page[] = [
  { id: "overview", name: "Overview", key: "o", group: "Watch", show: Overview },
  { id: "connections", name: "Connections", key: "c", group: "Watch", show: Connections },
  { id: "topics", name: "Topics", key: "t", group: "Watch", show: Topics },
  { id: "organizations", name: "Organizations", key: "z", group: "Watch", show: Organizations },
  { id: "events", name: "Events", key: "e", group: "Find out", show: Events },
  { id: "tap", name: "Live tap", key: "l", group: "Find out", show: TapPage },
  { id: "quarantine", name: "Quarantine", key: "q", group: "Find out", show: Quarantine, operator: true },
  { id: "revocations", name: "Revocations", key: "v", group: "Act", show: Revocations },
  { id: "nodes", name: "Nodes", key: "n", group: "Act", show: Nodes },
];
const detail: Page = { id: "connection", name: "Connection", key: "", group: "Watch", show: ConnectionPage };

/** App is the whole console. */
export function App() {
  useEffect(() => void arrive(), []);
  const s = state.value;
  if (s.kind === "checking") return <main class="login"><p aria-busy="true">Loading…</p></main>;
  if (s.kind === "out") return <Login reason={s.reason} />;
  return <Shell role={s.role} node={s.node} />;
}

function Shell({ role, node }: { role: Role; node: string }) {
  const [help, setHelp] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = pages.filter((p) => !p.operator || mayAct.value);
  const page = [...shown, detail].find((p) => p.id === route.value.page);

  useEffect(() => {
    void live.refresh();
    return () => live.stop();
  }, []);
  useEffect(() => listen({
    ...Object.fromEntries(shown.map((p) => [`g ${p.key}`, () => go(p.id)])),
    "?": () => setHelp(true),
    "/": () => document.querySelector<HTMLElement>("main input, main select")?.focus(),
    d: switchTheme,
  }), [role]);
  const id = page?.id ?? "";
  const previous = useRef(id);
  const wrong = problems.value.length;
  useEffect(() => {
    document.title = `${wrong > 0 ? `(${wrong}) ` : ""}${page?.name ?? "Not found"} – rte-server console`;
  }, [id, wrong]);
  useEffect(() => {
    // Screen readers and keyboards begin at the new page.
    if (previous.current !== id) heading.current?.focus();
    previous.current = id;
  }, [id]);
  const Show = page?.show;

  return (
    <>
      <a
        class="skip" href="#content"
        onClick={(event) => {
          event.preventDefault();
          heading.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <div class="shell">
        <aside>
          <p class="brand"><img src="icon.svg" alt="" /> rte-server</p>
          <nav aria-label="Pages">
            {(["Watch", "Find out", "Act"] as const).map((group) => (
              <div key={group}>
                <p class="nav-group" id={`nav-${group}`}>{group}</p>
                <ul aria-labelledby={`nav-${group}`}>
                  {shown.filter((p) => p.group === group).map((p) => <Item key={p.id} page={p} now={id} wrong={wrong} />)}
                </ul>
              </div>
            ))}
          </nav>
        </aside>
        <header class="top">
          <h1 ref={heading} tabIndex={-1}>{page?.name ?? "Not found"}</h1>
          <Health />
          <div class="top-end">
            <span class="dim">node <b>{live.data.value?.nodes[0]?.node ?? node}</b></span>
            <Badge tone={role === "operator" ? "info" : "mute"}>{role === "operator" ? "operator" : "read only"}</Badge>
            <button type="button" onClick={switchTheme}>Theme: {theme.value}</button>
            <button type="button" onClick={() => setHelp(true)}>Shortcuts <kbd>?</kbd></button>
            <button type="button" onClick={() => leave("")}>Sign out</button>
          </div>
        </header>
        <main id="content" aria-label={page?.name ?? "Not found"}>
          {Show ? <Show key={route.value.argument} /> : <NotFound />}
        </main>
      </div>
      <Notices />
      <Confirmation />
      {help && <Help pages={shown} close={() => setHelp(false)} />}
    </>
  );
}

function switchTheme(): void {
  announce(`Theme: ${nextTheme()}.`);
}

function Item({ page, now: shown, wrong }: { page: Page; now: string; wrong: number }) {
  const current = page.id === shown || (page.id === "connections" && shown === "connection");
  return (
    <li>
      <a href={linkTo(page.id)} aria-current={current ? "page" : undefined}>
        {page.name}
        {page.id === "overview" && wrong > 0 && (
          <span class={`nav-count ${problems.value.some((p) => p.tone === "bad") ? "nav-bad" : ""}`}>{wrong}<span class="visually-hidden"> problems</span></span>
        )}
      </a>
    </li>
  );
}

/** Health is on every page: whether the console sees the nodes, and whether they are well. */
function Health() {
  const all = problems.value;
  const bad = all.filter((p) => p.tone === "bad").length;
  let shown: ComponentChildren;
  if (live.stale.value) {
    shown = <Badge tone="bad">no answer for {span(Math.max(now.value - live.at.value, 0))}: stale since {time(live.at.value)}</Badge>;
  } else if (live.data.value === undefined) {
    shown = live.error.value === "" ? <Badge tone="mute">loading</Badge> : <Badge tone="bad">{live.error.value}</Badge>;
  } else if (all.length > 0) {
    shown = (
      <a href={linkTo("overview")}>
        <Badge tone={bad > 0 ? "bad" : "warn"}>{all.length === 1 ? all[0]?.title : `${all.length} problems`}</Badge>
      </a>
    );
  } else {
    shown = <Badge tone="ok">all well</Badge>;
  }
  // Screen readers read the words, without the counting seconds, when they change.
  const words = live.stale.value ? "The data is stale." : all.length > 0 ? `${all.length} problems` : "All well";
  return (
    <div class="health">
      {shown}
      <span class="visually-hidden" role="status">{words}</span>
    </div>
  );
}

function NotFound() {
  return <p class="empty">There is no such page. <a href={linkTo("overview")}>To the overview</a></p>;
}

function Help({ pages: all, close }: { pages: readonly Page[]; close: () => void }) {
  return (
    <Dialog title="Shortcuts" close={close}>
      <dl class="keys">
        {all.map((p) => <div key={p.id}><dt><kbd>g</kbd> <kbd>{p.key}</kbd></dt><dd>{p.name}</dd></div>)}
        <div><dt><kbd>/</kbd></dt><dd>First field of the page</dd></div>
        <div><dt><kbd>d</kbd></dt><dd>Light or dark</dd></div>
        <div><dt><kbd>?</kbd></dt><dd>This list</dd></div>
        <div><dt><kbd>Esc</kbd></dt><dd>Close a dialog</dd></div>
      </dl>
      <label class="check">
        <input type="checkbox" checked={enabled.value} onChange={(event) => enable(event.currentTarget.checked)} />
        Shortcuts of one key are on
      </label>
      <div class="buttons"><button type="button" class="primary" onClick={close}>Close</button></div>
    </Dialog>
  );
}
