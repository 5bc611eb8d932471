// The data of a panel: the latest answer of a repeated query, and its age.
import { type ReadonlySignal, type Signal, computed, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { wordsOf } from "./api.ts";

/** now is the time, in steps of a second. */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 1000);

/** patience is how late an answer may be before it counts as stale, in ms. */
const patience = 4000;

/** longestPause bounds the time between two attempts after failures, in ms. */
const longestPause = 5000;

/** Final is a failure that no further attempt mends: the subject of the query has gone. */
export class Final extends Error {}

/** Resource repeats a query from start to stop. Without an interval it sends the query once, and again after a failure. */
export class Resource<T> {
  readonly data: Signal<T | undefined> = signal(undefined);
  /** error is the reason of the last failure; empty after a success. */
  readonly error = signal("");
  /** at is the time of the last success; 0: none. */
  readonly at = signal(0);
  readonly busy = signal(false);
  /** over reports whether the subject of the query has gone. */
  readonly over = signal(false);
  /** stale reports whether the data may be old. */
  readonly stale: ReadonlySignal<boolean> = computed(
    () => this.at.value > 0 &&
      (this.error.value !== "" || (this.every > 0 && now.value - this.at.value > this.every + patience)),
  );
  #ends = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  constructor(readonly load: (signal: AbortSignal) => Promise<T>, readonly every: number) {}

  /** refresh sends the query now. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    this.#ends.abort();
    this.#ends = new AbortController();
    const { signal } = this.#ends;
    this.busy.value = true;
    try {
      const data = await this.load(signal);
      if (signal.aborted) return;
      this.data.value = data;
      this.at.value = Date.now();
      this.error.value = "";
      this.#failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      this.error.value = wordsOf(error);
      this.#failures++;
      if (error instanceof Final) {
        this.over.value = true;
        this.busy.value = false;
        return;
      }
    }
    this.busy.value = false;
    const pause = this.#failures > 0 ? Math.min(1000 * 2 ** (this.#failures - 1), longestPause) : this.every;
    if (pause > 0) this.#timer = setTimeout(() => void this.refresh(), pause);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#ends.abort();
    this.busy.value = false;
  }
}

/** useResource repeats a query while the component is shown. The query starts anew when key changes. */
export function useResource<T>(load: (signal: AbortSignal) => Promise<T>, every: number, key = ""): Resource<T> {
  const resource = useMemo(() => new Resource(load, every), [key, every]);
  useEffect(() => {
    void resource.refresh();
    return () => resource.stop();
  }, [resource]);
  return resource;
}
