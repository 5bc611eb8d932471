import { clip } from "../format.ts";
import { linkTo } from "../router.ts";
import { announce } from "./notices.tsx";

/** Id shows an id: its beginning in lists, the whole with a button to copy it elsewhere. */
export function Id({ id, whole = false }: { id: string; whole?: boolean }) {
  if (id === "") return <span class="dim">none</span>;
  if (!whole) return <code title={id}>{clip(id)}</code>;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(id);
      announce("Copied.");
    } catch {
      announce("The browser does not allow to copy.", "bad");
    }
  };
  return (
    <span class="id">
      <code>{id}</code>
      <button type="button" class="quiet copy" onClick={copy} aria-label={`Copy ${id}`} title="Copy">
        <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5 5V2h9v9h-3M2 5h9v9H2z" /></svg>
      </button>
    </span>
  );
}

/** ConnectionLink leads to the page of a connection. */
export const ConnectionLink = ({ id }: { id: string }) => (
  <a href={linkTo("connection", id)} title={id}><code>{clip(id)}</code></a>
);

/** FilterLink leads to the connections of a user or an organization. */
export const FilterLink = ({ by, id }: { by: "user" | "organization"; id: string }) => (
  <a href={linkTo("connections", "", { [by]: id })} title={`Connections of ${by} ${id}`}><code>{clip(id)}</code></a>
);
