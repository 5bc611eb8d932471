// Opens the developer's board of the development server in a browser and waits until it shows events of three kinds of
// entities and of at least three types.
//
//   node browser.mjs CHROMIUM URL
//
// Prints {"kinds": [...], "events": [...], "state": "...", "problems": [...]}.
import { chromium } from "playwright-core";

const [, , executablePath, url] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const problems = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type())) problems.push(`console: ${line.text()}`);
  });
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(url).host) problems.push(`asked another server: ${request.url()}`);
  });
  page.on("requestfailed", (request) => problems.push(`failed: ${request.url()}`));

  await page.goto(`${url}#developer`);
  await page.check("#show-status");
  const seen = (attribute) =>
    page.$$eval("#feed li", (rows, attribute) => [...new Set(rows.map((row) => row.getAttribute(attribute)))], attribute);
  await page.waitForFunction(
    () => {
      const count = (attribute) =>
        new Set([...document.querySelectorAll("#feed li")].map((row) => row.getAttribute(attribute))).size;
      return count("data-kind") === 3 && count("data-event") >= 3;
    },
    null,
    { timeout: 60_000 },
  );
  const result = {
    kinds: await seen("data-kind"),
    events: await seen("data-event"),
    state: await page.getAttribute("#connection", "data-state"),
    problems,
  };
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
