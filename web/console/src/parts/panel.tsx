// A panel: a part of a page with a heading, and with a state for each state of its data.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { plural, span, time } from "../format.ts";
import { type Resource, now } from "../resource.ts";
import { Badge } from "./badge.tsx";

interface Frame {
  readonly title: string;
  /** note is a short text behind the title. */
  readonly note?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly class?: string;
}

/** Section is a panel without a query. */
export function Section({ title, note, actions, class: more = "", children }: Frame & { children?: ComponentChildren }) {
  const id = useId();
  return (
    <section class={`panel ${more}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <div class="panel-note">{note}</div>}
        {actions !== undefined && <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface Reached {
  readonly answered: readonly string[];
  readonly unanswered: readonly { readonly node: string; readonly detail: string }[];
}

/** reachedOf returns the nodes that an answer covers, if it names them. */
function reachedOf(data: unknown): Reached | undefined {
  if (data === null || typeof data !== "object") return undefined;
  const held = "nodes" in data && data.nodes !== null && typeof data.nodes === "object" ? data.nodes : data;
  return "unanswered" in held && Array.isArray(held.unanswered) ? (held as unknown as Reached) : undefined;
}

interface Shown<T> extends Frame {
  readonly resource: Resource<T>;
  /** empty is the text for data without content; the second line gives a hint. */
  readonly empty?: { readonly when: (data: T) => boolean; readonly text: string; readonly hint?: ComponentChildren };
  /** rows is the height of the placeholder. */
  readonly rows?: number;
  readonly children: (data: T) => ComponentChildren;
}

/** Panel shows the data of a query: loading, empty, failed, stale or current. */
export function Panel<T>({ resource, empty, rows = 3, children, note, ...frame }: Shown<T>) {
  const data = resource.data.value;
  const error = resource.error.value;
  const stale = resource.stale.value;
  const reached = reachedOf(data);
  const badge = stale && (
    <Badge tone="warn" title={error}>{resource.over.value ? "last seen" : "stale, of"} {time(resource.at.value)}</Badge>
  );
  return (
    <Section {...frame} note={<>{note}{badge}</>} class={`${frame.class ?? ""} ${stale ? "is-stale" : ""}`}>
      {data === undefined
        ? error === "" ? <Loading rows={rows} /> : <Failed error={error} {...(resource.over.value ? {} : { retry: () => void resource.refresh() })} />
        : (
          <>
            {stale && <StaleLine resource={resource} />}
            {reached?.unanswered.map((silent) => (
              <p class="line line-warn" key={silent.node}>
                <Badge tone="warn">incomplete</Badge> Node <b>{silent.node}</b> {silent.detail}.
              </p>
            ))}
            <div class="panel-body">
              {empty?.when(data) ? <Empty text={empty.text} hint={empty.hint} /> : children(data)}
            </div>
          </>
        )}
    </Section>
  );
}

function StaleLine<T>({ resource }: { resource: Resource<T> }) {
  const age = Math.max(now.value - resource.at.value, 0);
  if (resource.over.value) return <p class="line line-warn">{resource.error.value}</p>;
  return (
    <p class="line line-warn">
      {resource.error.value || "The answer is late."} The data is {span(age)} old. The console tries again by itself.
    </p>
  );
}

/** Loading is a placeholder. */
export function Loading({ rows = 3 }: { rows?: number }) {
  return (
    <div class="loading" aria-busy="true">
      <span class="visually-hidden">Loading</span>
      {Array.from({ length: rows }, (_, i) => <span class="bone" key={i} />)}
    </div>
  );
}

/** Failed shows the reason of a failure. */
export function Failed({ error, retry }: { error: string; retry?: () => void }) {
  return (
    <div class="failed" role="alert">
      <p><b>Could not be loaded.</b> {error}</p>
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

/** Empty stands where data has no content, with a hint. */
export function Empty({ text, hint }: { text: string; hint?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>{text}</p>
      {hint !== undefined && <p class="dim">{hint}</p>}
    </div>
  );
}

/** NodesNote states how many nodes an answer covers. */
export function NodesNote({ data }: { data: unknown }) {
  const reached = reachedOf(data);
  return reached ? <span class="dim">{plural(reached.answered.length, "node")}</span> : null;
}
