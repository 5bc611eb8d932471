// The operator of the console: the token, and the rights of its role. The token is in the memory of this tab only.
import { computed, signal } from "@preact/signals";

export type Role = "operator" | "reader";

/** State is the state of the token in the console. */
export type State =
  | { readonly kind: "checking" }
  | { readonly kind: "in"; readonly role: Role; readonly node: string }
  | { readonly kind: "out"; readonly reason: string };

const key = "rte-console-token";

/** token is empty if the node needs no token, or the console has none. */
export const token = signal(sessionStorage.getItem(key) ?? "");

export const state = signal<State>({ kind: "checking" });

/** mayAct reports whether the role allows actions. */
export const mayAct = computed(() => state.value.kind === "in" && state.value.role === "operator");

/** keep remembers a token until the tab is closed. */
export function keep(text: string): void {
  token.value = text;
  if (text === "") {
    sessionStorage.removeItem(key);
  } else {
    sessionStorage.setItem(key, text);
  }
}

/** leave forgets the token. */
export function leave(reason: string): void {
  keep("");
  state.value = { kind: "out", reason };
}
