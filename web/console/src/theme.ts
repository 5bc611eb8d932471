// Light or dark: the choice of the system, or of the person.
import { computed, effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const key = "rte-console-theme";
const stored = localStorage.getItem(key);
export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "auto");

const query = matchMedia("(prefers-color-scheme: dark)");
const system = signal(query.matches);
query.addEventListener("change", () => {
  system.value = query.matches;
});

/** dark reports whether the theme is dark. */
export const dark = computed(() => (theme.value === "auto" ? system.value : theme.value === "dark"));

effect(() => {
  document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
  localStorage.setItem(key, theme.value);
});

/** nextTheme goes from one to the next. */
export function nextTheme(): Theme {
  const all: readonly Theme[] = ["auto", "light", "dark"];
  theme.value = all[(all.indexOf(theme.value) + 1) % all.length] ?? "auto";
  return theme.value;
}
