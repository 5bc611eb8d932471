// The developer's own connection: Microsoft's client without a helper, as one user of the organization.
import { HubConnectionBuilder, type HubConnection, LogLevel } from "@microsoft/signalr";
import { signal } from "@preact/signals";
import { getJSON } from "./rest.ts";

/** Exchange is a request to the hub with its answer. */
export interface Exchange {
  readonly key: number;
  readonly user: string;
  readonly method: string;
  readonly request: string;
  readonly answer: string;
  readonly failed: boolean;
  readonly took: number;
}

const maxExchanges = 20;

export const exchanges = signal<readonly Exchange[]>([]);
/** status describes the connection. */
export const status = signal("not connected: the first call connects");
/** delivered counts the events that the connection received. */
export const delivered = signal(0);

let connection: HubConnection | undefined;
let connected: string | undefined; // the user of the connection

async function connect(user: string): Promise<HubConnection> {
  if (connection && connected === user && connection.state === "Connected") return connection;
  await connection?.stop();
  status.value = "connecting";
  const access = () => getJSON<{ Token: string; WssEndpoint: string }>(`token/${user}/rte/`);
  const { WssEndpoint } = await access();
  const made = new HubConnectionBuilder()
    .withUrl(WssEndpoint.replace(/^ws/, "http"), { accessTokenFactory: async () => (await access()).Token })
    .configureLogging(LogLevel.None)
    .build();
  made.on("MessageReceived", () => delivered.value++);
  made.onclose((error) => {
    if (connection === made) status.value = `closed: ${error?.message ?? "by this page"}`;
  });
  await made.start();
  connection = made;
  connected = user;
  delivered.value = 0;
  status.value = "connected";
  return made;
}

/** call calls a method of the hub as a user, and keeps request and answer. */
export async function call(user: string, name: string, method: string, args: readonly unknown[]): Promise<void> {
  const began = performance.now();
  let answer: string;
  let failed = false;
  try {
    answer = JSON.stringify(await (await connect(user)).invoke(method, ...args), null, 1);
  } catch (error) {
    answer = error instanceof Error ? error.message : String(error);
    failed = true;
    if (status.value === "connecting") status.value = `not connected: ${answer}`;
  }
  const key = (exchanges.value[0]?.key ?? 0) + 1;
  const request = `${method}(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
  const took = Math.round(performance.now() - began);
  exchanges.value = [{ key, user: name, method, request, answer, failed, took }, ...exchanges.value].slice(0, maxExchanges);
}
