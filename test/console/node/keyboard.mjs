// A person without a mouse signs in, goes to a connection, looks at a dialog and reaches everything on a page.
import assert from "node:assert/strict";
import { end, fine, launch, open, options } from "./stage.mjs";

await launch(async (browser) => {
  const { page, problems } = await open(browser);
  const focused = () => page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    return {
      tag: element.tagName, text: (element.getAttribute("aria-label") ?? element.textContent).trim(), name: element.name ?? "",
      visible: style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) > 0,
    };
  });
  /** tabTo presses Tab until an element has the focus, which must be visible all the way. */
  const tabTo = async (what, matches) => {
    for (let i = 0; i < 150; i++) {
      await page.keyboard.press("Tab");
      const at = await focused();
      if (at.tag !== "BODY") assert.ok(at.visible, `no mark of the focus: ${JSON.stringify(at)}`);
      if (matches(at)) return;
    }
    throw new Error(`the keyboard does not reach ${what}`);
  };
  const heading = async (name) => {
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await page.waitForFunction(() => document.activeElement?.tagName === "H1");
  };

  await page.waitForFunction(() => document.activeElement?.name === "token"); // where a person begins to type
  await page.keyboard.type(options.operator);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();

  await page.keyboard.press("Tab");
  assert.equal((await focused()).text, "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal((await focused()).tag, "H1");

  // Each shortcut leads to its page, and the focus begins there.
  for (const [key, name] of [["t", "Topics"], ["e", "Events"], ["l", "Live tap"], ["v", "Revocations"], ["n", "Nodes"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await heading(name);
  }
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await heading("Connections");
  await page.keyboard.press("/");
  assert.equal((await focused()).name, "user");
  await page.keyboard.type(options.users[0]);
  await page.keyboard.press("Enter");
  await page.getByText(/^1 of /).waitFor();
  await tabTo("the connection", (at) => at.tag === "A" && /…|^[\w-]{10,}$/.test(at.text) && at.text !== "All");
  await page.keyboard.press("Enter");
  await heading("Connection");

  // A dialog has the focus until it closes, and gives it back.
  await page.getByRole("button", { name: "Disconnect…" }).waitFor();
  await tabTo("Disconnect", (at) => at.text === "Disconnect…");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("Tab");
    const inside = await page.evaluate(() => document.activeElement === document.body ||
      document.activeElement.closest("dialog") !== null);
    assert.ok(inside, "the focus left the dialog");
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal((await focused()).text, "Disconnect…");

  // The list of shortcuts; turned off, they do nothing.
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Shortcuts" }).waitFor();
  await tabTo("the switch", (at) => at.tag === "INPUT");
  await page.keyboard.press("Space");
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await page.waitForTimeout(200);
  await page.getByRole("heading", { level: 1, name: "Connection" }).waitFor();

  // Nothing on the page keeps the focus: it comes around.
  await tabTo("the end", (at) => at.tag === "BODY" || at.text === "Skip to the content");
  await tabTo("the navigation", (at) => at.text.startsWith("Nodes"));
  await page.keyboard.press("Enter");
  await heading("Nodes");
  await tabTo("the drain", (at) => at.text === "Drain…");
  fine(problems);
});
end();
