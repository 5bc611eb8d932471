import {
  DefaultHttpClient, type HttpRequest, type HttpResponse, type HubConnection, HubConnectionBuilder, LogLevel, NullLogger,
} from "@microsoft/signalr";
import type { Closing, Limits, MessageReceived, Resync, SubscriptionsEnded } from "./events.js";
import { hubUrl, type RteClientOptions } from "./options.js";
import { textOf, within } from "./state.js";

/** What a link gets from its client. */
export interface LinkHandlers {
  message(message: MessageReceived): void;
  ended(notice: SubscriptionsEnded): void;
  resync(notice: Resync): void;
  limits(limits: Limits): void;
  closing(notice: Closing): void;
  /** Called once, when the connection has ended. */
  closed(): void;
  /** Returns a token for this connection in place of one that expires soon; null: there is none. */
  renew(): Promise<string | null>;
}

/** Microsoft's client does not report the answer to its first request. */
class HttpClient extends DefaultHttpClient {
  unauthorized = false;
  connectionToken = "";
  lifetime = 0;
  #ticket = false;

  /** Whether the connection token alone opens a WebSocket, once (auth.websocket_ticket). */
  takeTicket(): boolean {
    const ticket = this.#ticket;
    this.#ticket = false;
    return ticket;
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    try {
      const response = await super.send(request);
      if (isNegotiate(request)) {
        const answer = JSON.parse(String(response.content)) as Record<string, unknown>;
        this.connectionToken = String(answer.connectionToken ?? "");
        this.lifetime = Number(answer.tokenLifetimeSeconds ?? 0);
        this.#ticket = answer.webSocketTicket === true;
      }
      return response;
    } catch (error) {
      this.unauthorized ||= isNegotiate(request) && (error as { statusCode?: number }).statusCode === 401;
      throw error;
    }
  }
}

const isNegotiate = (request: HttpRequest): boolean => request.url?.includes("/negotiate?") ?? false;

/** One connection. A client makes a new one for each attempt, so that nothing of an old one reaches it. */
export class Link {
  over = false;
  failure: unknown;
  /** The server has announced that it closes the connection. */
  closing = false;
  /** Messages that wait until this is the client's connection; undefined: it is. */
  waiting: MessageReceived[] | undefined;
  readonly #http = new HttpClient(NullLogger.instance);
  readonly #hub: HubConnection;
  readonly #url: URL;
  readonly #timeout: number;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  constructor(options: RteClientOptions, url: string, private token: string, private handlers: LinkHandlers) {
    this.#timeout = options.timeout ?? 30_000;
    this.#url = new URL(hubUrl(url));
    this.#url.searchParams.set("features", "notices,snapshot,limits");
    const builder = new HubConnectionBuilder()
      .withUrl(this.#url.href.replace(/%2C/gi, ","), {
        httpClient: this.#http,
        // Microsoft's client calls it for negotiate, and again for the URL of the WebSocket.
        accessTokenFactory: () => (this.#http.takeTicket() ? "" : this.token),
      })
      .configureLogging(LogLevel.None);
    options.configure?.(builder);
    this.#hub = builder.build();
    const on = <T>(name: string, take: (argument: T) => void) =>
      this.#hub.on(name, (argument: T) => void (this.over || take(argument)));
    on("MessageReceived", handlers.message);
    on("SubscriptionsEnded", handlers.ended);
    on("Resync", handlers.resync);
    on("Limits", handlers.limits);
    on("Closing", handlers.closing);
    this.#hub.onclose((error) => this.end(error ?? new Error("the server closed the connection")));
  }

  /** Whether the server refused the token. */
  get unauthorized(): boolean {
    return this.#http.unauthorized;
  }

  /** How long a dead connection may go unnoticed, in milliseconds. */
  get blindness(): number {
    return this.#hub.serverTimeoutInMilliseconds;
  }

  async start(): Promise<void> {
    await within(this.#timeout, "connecting", this.#hub.start());
    this.#planRenewal(this.#http.lifetime);
  }

  /** Calls a hub method. A call without an answer ends the connection: what the server did is unknown. */
  async call<T>(method: string, ...args: unknown[]): Promise<T> {
    let answered = false;
    const invoked = this.#hub.invoke<T>(method, ...args).finally(() => (answered = true));
    try {
      return await within(this.#timeout, method, invoked);
    } catch (error) {
      if (!answered) this.end(error);
      throw error;
    }
  }

  /** Ends the connection, and reports this once. */
  end(failure: unknown): void {
    if (this.over) return;
    this.over = true;
    this.failure = failure;
    clearTimeout(this.#renewal);
    void this.#hub.stop().catch(() => undefined);
    this.handlers.closed();
  }

  /** Ends the connection, and waits until the socket is closed. */
  async stop(): Promise<void> {
    this.end(undefined);
    await within(this.#timeout, "stopping", this.#hub.stop()).catch(() => undefined);
  }

  /** Hands in a new token before the old one expires, if the server accepts that (auth.refresh). */
  #planRenewal(lifetime: number): void {
    if (!(lifetime > 0) || this.over) return;
    const early = Math.min(60, lifetime / 3) * (1 + Math.random() / 2);
    this.#plan((lifetime - early) * 1000);
  }

  #plan(milliseconds: number): void {
    if (this.over) return;
    this.#renewal = setTimeout(() => {
      // Any failure: the token in force may have minutes left.
      this.#renew().catch(() => this.#plan(2000 + 3000 * Math.random()));
    }, Math.min(milliseconds, 2 ** 31 - 1));
  }

  async #renew(): Promise<void> {
    const token = await this.handlers.renew();
    if (token === null) {
      this.end(new Error("there is no token"));
      return;
    }
    const url = new URL(this.#url);
    url.pathname += "/refresh";
    try {
      const response = await this.#http.send({
        method: "POST", url: url.href, timeout: this.#timeout, withCredentials: true,
        headers: { Authorization: `Bearer ${token}`, "X-SignalR-Connection-Token": this.#http.connectionToken },
      });
      this.token = token;
      const { tokenLifetimeSeconds } = JSON.parse(String(response.content || "{}")) as { tokenLifetimeSeconds?: number };
      this.#planRenewal(tokenLifetimeSeconds ?? 0);
    } catch (error) {
      const status = (error as { statusCode?: number }).statusCode ?? 0;
      if (status === 403) this.end(new Error("the new token belongs to another user"));
      else if (status === 404) return; // the server has no such request, or the connection is about to end
      else throw new Error(`renewing the token: ${textOf(error)}`);
    }
  }
}
