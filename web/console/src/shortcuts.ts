// Shortcuts of one key. The operator can turn them off: dictation programs would trigger them.
import { signal } from "@preact/signals";

const key = "rte-console-shortcuts";
export const enabled = signal(localStorage.getItem(key) !== "off");

export function enable(on: boolean): void {
  enabled.value = on;
  localStorage.setItem(key, on ? "on" : "off");
}

/** first is the key that waits for a second one. */
let first = "";
let timer: ReturnType<typeof setTimeout> | undefined;

/** listen calls the action of a key, or of two keys such as "g o". It returns a function that ends this. */
export function listen(actions: Readonly<Record<string, () => void>>): () => void {
  const press = (event: KeyboardEvent) => {
    if (!enabled.value || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (target.closest("input, textarea, select, dialog") || target.isContentEditable) return;
    const pressed = first === "" ? event.key : `${first} ${event.key}`;
    clearTimeout(timer);
    first = "";
    const action = actions[pressed];
    if (action) {
      event.preventDefault();
      action();
    } else if (event.key === "g") {
      first = "g";
      timer = setTimeout(() => {
        first = "";
      }, 1500);
    }
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}
