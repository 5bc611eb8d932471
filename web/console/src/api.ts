// Requests to the operator API. Each has the token in its header, never in its URL.
import type { Answers } from "../generated/operator.d.ts";
import { leave, token } from "./session.ts";

/** Failure is the answer of a failed request. Without an answer its status is 0. */
export class Failure extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Options of a request. */
export interface Options {
  readonly query?: Query;
  /** path replaces the part of the path in braces. */
  readonly path?: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** patience is the time for an answer, in ms. Nodes wait 2 s for each other, twice for some queries. */
const patience = 10_000;

/** urlOf makes the URL of a request. It leaves empty parameters out. */
export function urlOf(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return path + (text === "" ? "" : `?${text}`);
}

/** send sends a request with the token. */
export async function send(method: string, url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const sent = token.peek();
  if (sent !== "") headers.set("Authorization", `Bearer ${sent}`);
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, method, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (init.signal?.aborted && init.signal.reason?.name !== "TimeoutError") throw error;
    throw new Failure(0, "The node does not answer.");
  }
  if (answer.ok) return answer;
  const message = await reasonOf(answer);
  if (answer.status === 401 && token.peek() === sent) {
    leave(sent === "" ? "" : "The node does not accept the token.");
  }
  throw new Failure(answer.status, message);
}

/** reasonOf returns the reason of a refusal in words. */
async function reasonOf(answer: Response): Promise<string> {
  const text = await answer.text().catch(() => "");
  try {
    const body: unknown = JSON.parse(text);
    if (body !== null && typeof body === "object" && "error" in body) return String(body.error);
  } catch {
    // not JSON
  }
  return text.trim() || `The node answered with status ${answer.status}.`;
}

/** call sends a request of the operator API and returns its answer. */
export async function call<E extends keyof Answers>(endpoint: E, options: Options = {}): Promise<Answers[E]> {
  const [method = "", path = ""] = endpoint.split(" ");
  const url = urlOf(path.replace(/\{\w+\}/, encodeURIComponent(options.path ?? "")), options.query);
  const limit = AbortSignal.timeout(patience);
  const init: RequestInit = { signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit };
  if (options.body !== undefined) {
    init.body = options.body;
    init.headers = { "Content-Type": "application/json" };
  }
  const answer = await send(method, url, init);
  try {
    return (await answer.json()) as Answers[E];
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(0, "The answer of the node ended too early.");
  }
}

/** wordsOf returns the words of an error for people. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
