import { ago } from "../format.ts";
import { freshness } from "../live.ts";

/** oldTime is the age from which a tile is marked. The server repeats each status within 20 s. */
const oldTime = 45_000;

/** Age states how old a tile is. */
export function Age({ at, label = "updated" }: { at: number; label?: string }) {
  const age = Date.now() - at;
  const old = age > oldTime || freshness.value.kind !== "fresh";
  return <span class="age" data-old={old}>{old ? "⚠ " : ""}{label} {ago(age)} ago</span>;
}
