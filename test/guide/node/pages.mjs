// Opens pages in a browser and prints their state when it changes: node pages.mjs PLAYWRIGHT CHROMIUM URL...
const [, , playwright, executablePath, ...urls] = process.argv;
const { chromium } = (await import(playwright)).default;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
await Promise.all(urls.map(async (url) => {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.log(`${url}: ${error.message}`));
  await page.goto(url);
  for (let before = "behind"; ;) {
    // A page is right when it shows a number for each queue.
    const now = await page.waitForFunction((before) => {
      const rows = [...document.querySelectorAll("tbody tr")].filter((row) => /^\d+$/.test(row.cells[1].textContent));
      const state = document.body.dataset.state;
      const now = state === "right" && rows.length > 0 ? `right with ${rows.length} queues` : state === "right" ? before : state;
      return now !== undefined && now !== before && now;
    }, before, { timeout: 0 });
    before = await now.jsonValue();
    console.log(`${url} is ${before}`);
  }
}));
