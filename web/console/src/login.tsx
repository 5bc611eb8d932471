// The login: a node without a token answers at once; otherwise the operator types the token.
import { useEffect, useState } from "preact/hooks";
import { Failure, call, send, wordsOf } from "./api.ts";
import { Badge } from "./parts/badge.tsx";
import { Form, Text } from "./parts/form.tsx";
import { keep, leave, state, token } from "./session.ts";

/** arrive finds out whether the node needs a token. The operator has to type a missing one. */
export async function arrive(): Promise<void> {
  try {
    const { token: needed } = (await (await send("GET", "access.json")).json()) as { readonly token: boolean };
    if (needed && token.peek() === "") state.value = { kind: "out", reason: "" };
    else await enter();
  } catch (error) {
    state.value = { kind: "out", reason: wordsOf(error) };
  }
}

/** enter requests the role of the token. */
export async function enter(): Promise<void> {
  try {
    const { role, node } = await call("GET /api/whoami");
    if (role === "operator" || role === "reader") {
      state.value = { kind: "in", role, node };
    } else {
      leave(`The role ${role} may not use the console.`);
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status === 401) return; // the request has left already
    if (error.status === 403) leave(error.message);
    else state.value = { kind: "out", reason: wordsOf(error) };
  }
}

/** Login lets the operator type the token. */
export function Login({ reason }: { reason: string }) {
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Sign in – rte-server console";
    document.querySelector<HTMLInputElement>("#login input")?.focus();
  }, []);
  const send = async (values: Record<string, string>) => {
    setBusy(true);
    keep(values["token"] ?? "");
    await enter();
    setBusy(false);
  };
  return (
    <main class="login" id="login">
      <h1><img src="icon.svg" alt="" /> rte-server console</h1>
      <Form label="Sign in" send={(values) => void send(values)}>
        <Text label="Operator token" name="token" type="password" required wide
          hint="console.token for everything, console.read_token to read only. It stays in this tab until you close it." />
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy}>{busy ? "Checking…" : "Sign in"}</button>
        </div>
      </Form>
      <div role="alert">{reason !== "" && <p><Badge tone="bad">Refused</Badge> {reason}</p>}</div>
    </main>
  );
}
