import type { HubConnectionBuilder } from "@microsoft/signalr";

/**
 * Why the client needs a token: for a new connection, because the server refused the last one, or because the token of
 * the open connection expires soon.
 */
export type AccessReason = "connect" | "refused" | "expiring";

/** The answer of the REST API to the request for a token. Both spellings of the address are in use. */
export interface Access {
  Token: string;
  WssEndpoint?: string;
  WSSEndpoint?: string;
}

/** The options of an RteClient. */
export interface RteClientOptions {
  /**
   * Address of the hub, for instance `wss://rte.example.com/rte`: with any of the schemes wss, ws, https and http, or
   * without one. Not needed if `token` returns the answer of the REST API, which contains the address.
   */
  url?: string | undefined;
  /**
   * Returns a new token, or the answer of the REST API that contains one. The client calls it for every attempt to
   * connect, so it must not keep a token that has expired or was refused. Null means that the user is signed out, and
   * ends the client. An error is a failed attempt; the client tries again.
   */
  token: (reason: AccessReason) => Promise<string | Access | null | undefined> | string | Access | null | undefined;
  /**
   * Returns the pause in milliseconds before another attempt, by the number of failures before it. By default the
   * pause is random, below 1 s at first and 30 s at last, and there is no end.
   */
  retryDelay?: (failures: number) => number;
  /** Largest number of items of one call; default: what the server states, else 2000. The client finds a lower limit. */
  batchItems?: number;
  /** Largest size of a call in bytes, below the server's `limits.message_bytes`; default: what it states, else 30000. */
  batchBytes?: number;
  /** Longest time in milliseconds to connect, to get a token, or to wait for an answer; default 30000. */
  timeout?: number;
  /** Takes errors that the application's handlers throw, and those of `token`; default: console.error. */
  onError?: (error: unknown) => void;
  /** Changes the connection before it is built: logging, a proxy. The events must stay JSON. */
  configure?: (builder: HubConnectionBuilder) => void;
}

/** Pauses between a half and all of 1 s, 2 s, 4 s to 30 s. The first one is anywhere below 1 s. */
export const retryDelay = (failures: number): number => {
  const longest = Math.min(30_000, 1000 * 2 ** failures);
  return failures === 0 ? longest * Math.random() : (longest / 2) * (1 + Math.random());
};

/**
 * Returns an address as Microsoft's client needs it: with http or https, since its first request is HTTP. It fails with
 * `Cannot resolve 'wss://...'` otherwise.
 */
export function hubUrl(url: string): string {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (/^wss?:/i.test(url)) return `http${url.slice(2)}`;
  if (/^https?:/i.test(url)) return url;
  return url.startsWith("/") && page ? new URL(url, page).href : `https://${url.replace(/^\/+/, "")}`;
}
