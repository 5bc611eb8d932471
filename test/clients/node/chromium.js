// Microsoft's client in a page of a browser.
//
//   node chromium.js CHROMIUM PAGE_URL TRUSTED_KEY
//
// The browser trusts certificates of the public key whose SHA-256 is TRUSTED_KEY, in base64; it may be empty.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [, , executablePath, url, trusted] = process.argv;
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const args = ["--no-sandbox", "--ignore-certificate-errors-spki-list=" + trusted];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage();
await page.exposeFunction("printLines", (lines) => lines.forEach(print));
await page.goto(url);
await page.waitForFunction(() => window.run);

print({ protocols: ["json", "messagepack"] });
for await (const line of createInterface({ input: process.stdin })) {
  page.evaluate((command) => window.run(command), JSON.parse(line)).then(print, () => {}); // fails when the page is closed
}
await browser.close();
