// The application in a page: node chromium.mjs PLAYWRIGHT CHROMIUM PAGE_URL. Lines as in node.mjs.
import { createInterface } from "node:readline";

const [, , playwright, executablePath, url] = process.argv;
const { chromium } = (await import(playwright)).default;
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.on("pageerror", (error) => print({ gone: error.message }));
await page.exposeFunction("print", print);
await page.goto(url);
await page.waitForFunction(() => window.app);
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...rest } = JSON.parse(line);
  page.evaluate(async ([name, rest]) => (await window.app[name](rest)) ?? null, [name, rest]).then(
    (result) => print({ id, result }),
    (error) => print({ id, error: error.message }),
  );
}
await browser.close();
