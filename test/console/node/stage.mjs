// What the scripts of this folder share: a browser, a page of the console, and what may not happen on it.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** options come as JSON from the test: {"chromium", "nodes": [{"url", "name"}, ...], "operator", "reader", ...}. */
export const options = JSON.parse(process.argv[2]);
export const [first, second] = options.nodes;

/** patience is the time for what should happen at once, in ms. */
export const patience = 20_000;

/** pages are the pages of the console, by the name in its navigation. */
export const pages = {
  overview: "Overview", connections: "Connections", topics: "Topics", organizations: "Organizations",
  events: "Events",
  tap: "Live tap", quarantine: "Quarantine", revocations: "Revocations", nodes: "Nodes",
};

/** launch starts a browser, calls the work with it, and ends it. */
export async function launch(work) {
  const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox"] });
  try {
    await work(browser);
  } catch (error) {
    for (const page of browser.contexts().flatMap((context) => context.pages())) {
      console.error(`${page.url()}\n${(await page.locator("body").innerText()).slice(0, 3000)}`);
    }
    throw error;
  } finally {
    await browser.close();
  }
}

/** open opens the console of a node, and collects what went wrong on the page. allowed are statuses of the API that are no problem. */
export async function open(browser, { node = first, allowed = [], ...more } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const problems = [];
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("console", (line) => {
    // The browser reports each status of 400 and more as an error, also those that the page expects and shows.
    const status = /status of (\d+)/.exec(line.text())?.[1];
    if (!["error", "warning"].includes(line.type()) || allowed.includes(Number(status))) return;
    if (page.expectsOutage && /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY|ERR_INCOMPLETE/.test(line.text())) return;
    problems.push(`console: ${line.text()} ${line.location().url}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== node.url) problems.push(`a request to another server: ${request.url()}`);
    if (url.href.includes(options.operator) || url.href.includes(options.reader)) problems.push("a token is in a URL");
  });
  await page.goto(`${node.url}/`);
  return { page, context, problems };
}

/** signIn types the token. */
export async function signIn(page, token) {
  await page.getByLabel("Operator token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

/** show goes to a page by its name in the navigation. */
export async function show(page, name) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** api sends a request to a node, beside the browser. */
export function api(method, path, { node = first, token = options.operator, body } = {}) {
  return fetch(node.url + path, { method, body, headers: { Authorization: `Bearer ${token}` } });
}

/** until polls until a condition holds. */
export async function until(what, condition) {
  for (const end = Date.now() + patience; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
  }
}

const input = createInterface({ input: process.stdin });
const answers = input[Symbol.asyncIterator]();

/** want lets the test do something, and waits until it is done. end must follow at the end of the script. */
export async function want(what) {
  console.log(what);
  await answers.next();
}

/** end lets the process end. */
export function end() {
  input.close();
  process.stdin.destroy();
}

/** fine fails if something went wrong on a page. */
export function fine(problems) {
  if (problems.length > 0) throw new Error(`problems on the page:\n${problems.join("\n")}`);
}
