// Opens the supervisor's board of a development server in a browser and prints its content when it is right:
// {"agents": [...], "times": [...], "queues": [...]}, the states of its agents, the times since then, and the waiting
// calls of its queues.
//
//   node wallboard.mjs CHROMIUM URL
import { chromium } from "playwright-core";

const [, , executablePath, url] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(`${url}#supervisor`);
  await page.waitForSelector("#connection[data-state=fresh]", { timeout: 60_000 });
  const shown = await page.evaluate(() => {
    const texts = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent);
    return {
      agents: texts("tr[data-user] .state"), times: texts("tr[data-user] .number"), queues: texts(".card [data-field=waiting]"),
    };
  });
  console.log(JSON.stringify(shown));
} finally {
  await browser.close();
}
