import { ago } from "../format.ts";
import { freshness } from "../live.ts";

/** oldTime is the age from which the page marks a tile. The server repeats each status within 20 s. */
const oldTime = 45_000;

/** isOld reports whether data that the page received at a time may be wrong. */
export const isOld = (at: number): boolean => freshness.value.kind !== "fresh" || Date.now() - at > oldTime;

/** Age states how old a tile is. */
export function Age({ at, label = "updated" }: { at: number; label?: string }) {
  const old = isOld(at);
  return <span class="age" data-old={old}>{old ? "⚠ " : ""}{label} {ago(Date.now() - at)} ago</span>;
}
