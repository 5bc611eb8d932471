// Opens the wallboard of a development server in a browser and prints its content when it is connected:
// {"agents": [...], "queues": [...], "figures": [...], "rows": 0}, the texts of its cards and figures and the number of
// listed events.
//
//   node wallboard.mjs CHROMIUM URL
import { chromium } from "playwright-core";

const [, , executablePath, url] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForSelector("#connection[data-state=connected]", { timeout: 60_000 });
  const shown = await page.evaluate(() => {
    const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
    return {
      agents: texts(".agent .state"),
      queues: texts(".queue .waiting"),
      figures: texts(".figures dd"),
      rows: document.querySelectorAll("#feed li").length,
    };
  });
  console.log(JSON.stringify(shown));
} finally {
  await browser.close();
}
