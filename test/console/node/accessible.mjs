// Looks for what keeps people from reading the console: axe, in light and dark, on each page, in a dialog and before the
// way in. No page may scroll sideways at 1280.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { end, launch, open, options, pages, show, signIn } from "./stage.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

await launch(async (browser) => {
  for (const colorScheme of ["light", "dark"]) {
    // axe needs what the policy of the console forbids; the other scripts keep to it.
    const { page } = await open(browser, { colorScheme, bypassCSP: true });
    const examine = async (where) => {
      await page.locator("main .loading").first().waitFor({ state: "detached" });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      const found = violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join("\n    ")}`);
      assert.deepEqual(found, [], `${where}, ${colorScheme}`);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${where} is ${over} too wide`);
    };
    await page.getByLabel("Operator token").waitFor();
    await examine("before the way in");
    await signIn(page, options.operator);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
    for (const name of Object.values(pages)) {
      await show(page, name);
      await examine(name);
    }
    await page.getByRole("button", { name: "Drain…" }).first().click();
    await examine("the dialog of a drain");
    await page.getByRole("button", { name: "Go on…" }).click();
    await page.getByRole("heading", { name: /^Drain .*\?$/ }).waitFor();
    await examine("the confirmation");
    await page.keyboard.press("Escape");
    await show(page, "Connections");
    await page.locator("tbody a").first().click();
    await page.getByRole("heading", { name: "Explain" }).waitFor();
    await examine("a connection");
    await show(page, "Events");
    await page.locator("tbody td:nth-child(3) a").first().click();
    await page.getByRole("heading", { name: /became of it/ }).waitFor();
    await examine("a trace");
    await page.goto(`${page.url().split("#")[0]}#/nowhere`);
    await page.getByText("There is no such page.").waitFor();
    await examine("no page");
    await page.context().close();
  }
});
end();
