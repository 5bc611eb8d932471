import { call } from "../api.ts";
import { bytes, time } from "../format.ts";
import { Badge, wordOf } from "../parts/badge.tsx";
import { Panel } from "../parts/panel.tsx";
import { useResource } from "../resource.ts";

/** Quarantine shows faulty messages of publishers. */
export function Quarantine() {
  const list = useResource((signal) => call("GET /api/quarantine", { signal }), 5000);
  return (
    <Panel
      title="Faulty messages" resource={list} rows={6}
      note={<span class="dim">of this node, the newest first; with a part of the payload</span>}
      empty={{
        when: (l) => l.length === 0, text: "Publishers have sent nothing faulty.",
        hint: "Messages appear here that nodes refuse, or that differ from the catalog of events.",
      }}
    >
      {(l) => (
        <ul class="cards">
          {l.map((q, i) => (
            <li class="card" key={`${q.time} ${i}`}>
              <p class="card-head">
                <Badge tone="bad">{wordOf(q.reason)}</Badge>
                {q.property && <span>property <code>{q.property}</code></span>}
                <span class="dim">{bytes(q.bytes)}, <time dateTime={q.time}>{time(q.time, true)}</time></span>
              </p>
              <pre tabIndex={0} aria-label="Beginning of the message"><code>{q.excerpt || "(empty)"}</code></pre>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
