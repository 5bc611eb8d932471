// The page and its parameters, which are in the fragment of the URL: a fragment never leaves the browser.
import { computed, signal } from "@preact/signals";
import { urlOf, type Query } from "./api.ts";

const fragment = signal(location.hash);
addEventListener("hashchange", () => {
  fragment.value = location.hash;
});

/** Route is the content of the fragment: #/page/argument?name=value */
export interface Route {
  readonly page: string;
  readonly argument: string;
  readonly query: URLSearchParams;
}

export const route = computed<Route>(() => {
  const [path = "", search = ""] = fragment.value.replace(/^#\/?/, "").split("?", 2);
  const [page = "", argument = ""] = path.split("/", 2);
  return { page: page || "overview", argument: decode(argument), query: new URLSearchParams(search) };
});

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** linkTo returns the fragment of a page. */
export function linkTo(page: string, argument = "", query: Query = {}): string {
  return urlOf(`#/${page}${argument && `/${encodeURIComponent(argument)}`}`, query);
}

/** go shows a page. */
export function go(page: string, argument = "", query: Query = {}): void {
  location.hash = linkTo(page, argument, query);
}
