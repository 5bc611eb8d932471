// Opens the three boards of the wallboard in a browser and does what the lines of its standard input name, one each.
// Prints one line of JSON for each: {"problems": [...], ...}. Ends with its input.
//
//   node boards.mjs '{"chromium": PATH, "url": URL of the page, "server": URL of the server itself}'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const options = JSON.parse(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const boards = ["wall", "supervisor", "developer"];
const patience = 30_000;

const browser = await chromium.launch({ executablePath: options.chromium, args: ["--no-sandbox"] });
const problems = []; // of all pages since the last line
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open(board, { viewport = { width: 1920, height: 1080 }, url = options.url, ...more } = {}) {
  const context = await browser.newContext({ viewport, bypassCSP: false, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`));
  });
  page.on("pageerror", (error) => problems.push(`${board}: ${error.message}`));
  page.on("console", (line) => {
    // The browser itself reports requests that fail during a cut.
    if (["error", "warning"].includes(line.type()) && !/net::ERR_|WebSocket/.test(line.text())) {
      problems.push(`${board}: ${line.text()}`);
    }
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) problems.push(`another server: ${request.url()}`);
  });
  await page.goto(`${url}#${board}`);
  return page;
}

const pages = new Map();

/** fresh waits until all boards are right, and returns how long that took. */
async function fresh() {
  const began = Date.now();
  for (const page of pages.values()) {
    await page.waitForSelector("html[data-freshness=fresh]");
    await page.waitForSelector("main:not(.empty)");
  }
  return Date.now() - began;
}

const readState = async () => (await fetch(new URL("demo/state", options.server))).json();

/** essence is what a board shows of a state and what can be compared. */
function essence(state) {
  return {
    queues: Object.fromEntries(state.queues.map((q) => [q.queueId, [q.waiting, q.connected, q.free].join(" ")])),
    users: Object.fromEntries(state.users.map((user) => [user.userId, user.state])),
    calls: Object.fromEntries(state.calls.map((call) => [call.callId, call.state === "held" ? "connected" : call.state])),
    callbacks: state.callbacks.map((callback) => callback.callBackId).sort(),
    figures: figuresOf(state.queues),
    words: wordsOf(state.users.map((user) => user.state)),
  };
}

function figuresOf(queues) {
  const sum = (name) => queues.reduce((total, queue) => total + queue.figures[name], 0);
  return `${sum("inTime")} of ${sum("answered") + sum("abandoned")}, ${sum("abandoned")} abandoned`;
}

function wordsOf(words) {
  const counts = {};
  for (const word of words) if (!["offWork", "noQueue", "supervising"].includes(word)) counts[word] = (counts[word] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort());
}

/** read reads the same from the boards. */
async function read() {
  const wall = await pages.get("wall").evaluate(() => {
    const field = (row, name) => row.querySelector(`[data-field=${name}]`).textContent;
    const note = (name) => document.querySelector(`.tile[data-name=${name}] .note`).textContent;
    return {
      queues: Object.fromEntries([...document.querySelectorAll("tr[data-queue]")].map((row) =>
        [row.dataset.queue, ["waiting", "connected", "free"].map((name) => field(row, name)).join(" ")])),
      figures: `${note("level").replace(" calls", "")}, ${note("abandoned").split(" ")[0]} abandoned`,
      words: Object.fromEntries([...document.querySelectorAll(".agents-bar li")]
        .map((item) => [item.dataset.word, Number(item.querySelector("strong").textContent)]).filter(([, n]) => n > 0).sort()),
    };
  });
  const supervisor = await pages.get("supervisor").evaluate(() => {
    const all = (selector, pair) => Object.fromEntries([...document.querySelectorAll(selector)].map(pair));
    const field = (card, name) => card.querySelector(`[data-field=${name}]`).textContent;
    return {
      queues: all(".card", (card) =>
        [card.dataset.queue, ["waiting", "connected", "free"].map((name) => field(card, name)).join(" ")]),
      users: all("tr[data-user]", (row) => [row.dataset.user, row.dataset.word]),
      calls: all("[data-call]", (item) => [item.dataset.call, item.dataset.state]),
      callbacks: [...document.querySelectorAll("[data-callback]")].map((item) => item.dataset.callback).sort(),
    };
  });
  return { wall, supervisor };
}

const sorted = (value) => JSON.stringify(value, (_, each) =>
  each && typeof each === "object" && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each);

/** differences compares the boards with a state. */
function differences(want, { wall, supervisor }) {
  const found = [];
  for (const [board, got] of Object.entries({ wall, supervisor })) {
    for (const name of Object.keys(got)) {
      if (sorted(got[name]) !== sorted(want[name])) {
        found.push(`${board} ${name}: shows ${sorted(got[name])}, the simulator has ${sorted(want[name])}`);
      }
    }
  }
  return found;
}

const work = {
  /** open opens all boards. */
  async open() {
    for (const board of boards) pages.set(board, await open(board));
    await fresh();
    return {};
  },

  /** again opens each board once more, and returns how long the slowest needed until it showed the state. */
  async again() {
    const took = [];
    for (const board of boards) {
      const began = Date.now();
      const page = await open(board);
      await page.waitForSelector("html[data-freshness=fresh] main:not(.empty)");
      took.push(Date.now() - began);
      await page.context().close();
    }
    return { took: Math.max(...took) };
  },

  /** compare compares the boards with the state of the server, at a moment in which nothing changes. */
  async compare() {
    await fresh();
    let found = ["no moment without a change"];
    for (let attempt = 0; attempt < 150; attempt++) {
      const before = sorted(essence(await readState()));
      await sleep(400); // the boards draw some times a second
      const got = await read();
      const after = await readState();
      if (sorted(essence(after)) !== before) continue;
      found = differences(essence(after), got);
      if (found.length === 0) return { calls: after.calls.length, callbacks: after.callbacks.length, run: after.run };
      if (attempt > 100) break;
    }
    problems.push(...found);
    return {};
  },

  /** old waits until all boards show that they are old, and checks that their times stand still. */
  async old() {
    const began = Date.now();
    for (const page of pages.values()) await page.waitForSelector(".warning");
    const took = Date.now() - began;
    await sleep(500);
    const text = async () => (await pages.get("wall").textContent("main")).replaceAll(/updated \d+ (s|min) ago/g, "");
    let after = await text();
    for (let attempt = 0; ; attempt++) { // what was drawn late changes the text once
      const before = after;
      await sleep(2500);
      after = await text();
      if (before === after) break;
      if (attempt === 4) {
        problems.push(`times go on: ${after}`);
        break;
      }
    }
    const below = await pages.get("wall").evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
    if (below > 0) problems.push(`the wall with its warning is ${below} px too high`);
    return { took, warning: await pages.get("wall").textContent(".warning") };
  },

  async fresh() {
    return { took: await fresh() };
  },

  /** widths looks for horizontal scroll bars, and for a wall that does not fit. */
  async widths() {
    for (const [board, page] of pages) {
      for (const width of [360, 390, 480, 559, 560, 700, 701, 800, 959, 960, 1024, 1280, 1366, 1700, 1920, 2560, 3840]) {
        await page.setViewportSize({ width, height: Math.round(width > 900 ? width * 9 / 16 : 800) });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        if (over > 0) problems.push(`${board} is ${over} px too wide at ${width}`);
        const across = await page.evaluate(() => [...document.querySelectorAll("main section, main section *")]
          .filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === "visible"
            && getComputedStyle(element).display !== "inline").map((element) => `${element.tagName}.${element.className}`));
        if (across.length > 0) problems.push(`${board} at ${width}: these are wider than their place: ${[...new Set(across)]}`);
        const below = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
        if (board === "wall" && width >= 1280 && below > 0) problems.push(`the wall is ${below} px too high at ${width}`);
      }
      await page.setViewportSize({ width: 1920, height: 1080 });
    }
    const height = await pages.get("wall").$eval(".tile .value", (value) => value.getBoundingClientRect().height);
    return { height };
  },

  /** axe lets a judge of accessibility look at each board, light and dark, wide and narrow. */
  async axe() {
    for (const [board, page] of pages) {
      for (const [colorScheme, width] of [["light", 1920], ["dark", 1920], ["dark", 390]]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 1000 });
        await sleep(300);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        for (const { id, help, nodes } of violations) {
          problems.push(`${board} ${colorScheme} ${width}: ${id}: ${help}: ${nodes.slice(0, 3).map((n) => n.html).join(" ")}`);
        }
      }
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 1920, height: 1080 });
    }
    return {};
  },

  /** sort sorts and filters the users. */
  async sort() {
    const page = pages.get("supervisor");
    const names = () => page.$$eval("tr[data-user] th", (cells) => cells.map((cell) => cell.textContent));
    await page.getByRole("button", { name: "Agent" }).click();
    const ascending = await names();
    if (sorted(ascending) !== sorted([...ascending].sort((a, b) => a.localeCompare(b)))) problems.push(`order ${ascending}`);
    await page.getByRole("button", { name: "Agent" }).click();
    if (sorted(await names()) !== sorted(ascending.reverse())) problems.push(`reverse order ${await names()}`);
    await page.getByLabel("Find").fill("Aino");
    await page.waitForFunction(() => document.querySelectorAll("tr[data-user]").length === 1);
    await page.getByLabel("Find").fill("zzz");
    await page.getByRole("button", { name: "Show all" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tr[data-user]").length > 10);
    return {};
  },

  /** methods calls the five methods as a supervisor and as an agent, and walks through the events by keyboard. */
  async methods() {
    const page = pages.get("developer");
    const answer = async (method) => {
      const before = await page.locator(".exchanges li").count();
      await page.getByRole("button", { name: method, exact: true }).click();
      await page.waitForFunction((n) => document.querySelectorAll(".exchanges li").length > n, before);
      return JSON.parse(await page.locator(".exchanges li").first().locator("pre").last().textContent());
    };
    const granted = (results) => results.map((result) => result.subscribed);
    const out = { names: (await answer("AvailableSubscriptions")).length, supervisor: granted(await answer("Subscribe")) };
    out.active = (await answer("ActiveSubscriptions")).length;
    out.ended = granted(await answer("Unsubscribe"));
    await answer("UnsubscribeAll");
    await page.getByLabel("User").selectOption({ label: "Kaisa Salmela" });
    out.agent = granted(await answer("Subscribe"));

    await page.getByLabel("with status").check();
    await page.waitForFunction(() => document.querySelectorAll("#feed li").length > 5);
    await page.getByLabel("hold").check();
    await page.getByLabel("Find").focus();
    await page.keyboard.press("Tab"); // the list, which scrolls by keyboard
    const list = await page.evaluate(() => document.activeElement.id);
    await page.keyboard.press("Tab"); // its first event
    await page.keyboard.press("Enter");
    await page.waitForSelector("#feed pre");
    await page.getByLabel("hold").uncheck();
    return { ...out, list };
  },

  /** empty opens a page whose server gives no token. */
  async empty() {
    const page = await open("wall", { viewport: { width: 1280, height: 720 } });
    await page.route("**/token/**", (route) => route.fulfill({ status: 503, body: "" }));
    await page.reload();
    await page.waitForSelector(".empty");
    await page.waitForFunction(() => document.querySelector(".empty").textContent.includes("503"));
    const text = await page.textContent(".empty");
    if (options.pictures) await page.screenshot({ path: `${options.pictures}/wallboard-empty.png` });
    await page.context().close();
    problems.length = 0; // the browser reports the 503
    return { text };
  },

  /** pictures takes the pictures of the documentation. */
  async pictures() {
    const shots = [
      ["wallboard", "wall", 1920, 1080, "light"], ["wallboard-4k", "wall", 3840, 2160, "dark"],
      ["wallboard-phone", "wall", 390, 844, "dark"], ["supervisor", "supervisor", 1440, 900, "light"],
      ["supervisor-dark", "supervisor", 1440, 900, "dark"], ["supervisor-phone", "supervisor", 390, 844, "light"],
      ["developer", "developer", 1440, 900, "light"],
    ];
    for (const [name, board, width, height, colorScheme] of shots) {
      const page = pages.get(board);
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await sleep(400);
      await page.screenshot({ path: `${options.pictures}/${name}.png` });
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 1920, height: 1080 });
    }
    return {};
  },

  async oldPicture() {
    await sleep(500);
    await pages.get("wall").screenshot({ path: `${options.pictures}/wallboard-disconnected.png` });
    return {};
  },
};

try {
  for await (const line of createInterface({ input: process.stdin })) {
    let result;
    try {
      result = await work[line]();
    } catch (error) {
      problems.push(`${line}: ${error.stack}`);
      for (const [board, page] of pages) problems.push(`${board}: ${(await page.innerText("body")).slice(0, 600)}`);
    }
    console.log(JSON.stringify({ ...result, problems: problems.splice(0) }));
  }
} finally {
  await browser.close();
}
