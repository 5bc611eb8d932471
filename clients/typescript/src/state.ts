import type { Guid, Resync } from "./events.js";

/**
 * The state that an application shows beside its data.
 * - right: connected, subscribed to everything that was granted, and nothing is missing.
 * - behind: the data may be old. The client connects, subscribes, or waits for a reload.
 * - gone: over. The application stopped the client, there is no token, or the server refused a new token.
 */
export type StateKind = "right" | "behind" | "gone";

/** The state of a client. */
export interface ClientState {
  readonly kind: StateKind;
  /** When the kind began. It stays while only the reason changes. */
  readonly since: Date;
  /** Why it is not right, for people; otherwise empty. */
  readonly reason: string;
}

/** One event of one entity. */
export interface Topic {
  readonly entityId: Guid;
  readonly eventName: string;
}

/** Events that may be missing: fetch the data of the topics from the REST API. */
export interface Discontinuity {
  /** Why: "reconnect" after a lost connection, otherwise the reason of the server's Resync. */
  readonly reason: Resync["reason"] | "reconnect";
  /** No event before this time is missing; null if unknown. After a reconnect by the clock of this machine. */
  readonly from: Date | null;
  /** The topics with missing events. Their last states, where the server has them, have already arrived. */
  readonly topics: readonly Topic[];
}

/** Wakes one waiter, now or when it comes. */
export class Signal {
  #set = false;
  #wake: (() => void) | undefined;

  set(): void {
    this.#set = true;
    this.#wake?.();
  }

  /** Waits for set, which may have been called before, but no longer than a time in milliseconds. */
  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#set = false;
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, Math.min(milliseconds, 2 ** 31 - 1));
      this.#wake = wake;
      if (this.#set) wake();
    });
  }
}

/** Rejects when a promise takes longer than a time in milliseconds. */
export function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} took longer than ${milliseconds} ms`)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

export const textOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure ?? ""));

/** Calls functions of the application. An error of one function does not stop the others. */
export function callAll<A extends unknown[]>(
  functions: Iterable<(...args: A) => void>, report: (error: unknown) => void, ...args: A
): void {
  for (const each of [...functions]) {
    try {
      each(...args);
    } catch (error) {
      report(error);
    }
  }
}
