// Opens the pages in all sizes, light and dark. No page may scroll sideways. With a folder it takes the pictures of the
// documentation.
import assert from "node:assert/strict";
import { join } from "node:path";
import { fine, launch, open, options, pages, show, signIn, want, until, end } from "./stage.mjs";

const sizes = [[1280, 800], [1920, 1080], [3840, 2160]];

/** shots are the pictures: a size, a theme, and the pages in it. */
const shots = [
  [1280, "light", ["overview", "connection"]], [1280, "dark", ["trace"]],
  [1920, "light", ["overview", "trace"]], [1920, "dark", ["overview", "connection"]],
  [3840, "light", ["trace"]], [3840, "dark", ["overview", "connection"]],
];

await launch(async (browser) => {
  const opened = [];
  for (const [width, height] of sizes) {
    for (const colorScheme of ["light", "dark"]) {
      const one = await open(browser, { viewport: { width, height }, colorScheme });
      await signIn(one.page, options.operator);
      opened.push({ ...one, width, colorScheme });
    }
  }
  await opened[0].page.getByText("2 of 2 ready").waitFor();
  await want("publish something faulty");
  for (const { page } of opened) {
    await page.getByText(/faulty message/).first().waitFor();
    await page.getByText(/slow client/).first().waitFor();
  }
  if (options.folder) await new Promise((resolve) => setTimeout(resolve, 150_000)); // the charts need a past

  for (const { page, problems, width, colorScheme } of opened) {
    const picture = async (name) => {
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${name} is ${over} too wide at ${width}`);
      if (options.folder && shots.some(([w, theme, names]) => w === width && theme === colorScheme && names.includes(name))) {
        await page.evaluate(() => document.activeElement?.blur());
        await page.screenshot({ path: join(options.folder, `${name}-${width}-${colorScheme}.png`) });
      }
    };
    await picture("overview");
    for (const [id, name] of Object.entries(pages)) {
      await show(page, name);
      if (id !== "overview") await picture(id);
    }
    await show(page, "Connections");
    await page.getByRole("combobox", { name: "First" }).selectOption("waiting");
    await page.getByRole("button", { name: "Filter" }).click();
    await until("the slow client", () => page.locator("tbody tr").first().locator(".badge-warn").count());
    await page.locator("tbody a").first().click();
    await page.getByText("waiting", { exact: true }).waitFor();
    const entity = await page.locator("tbody code").first().innerText();
    await page.getByRole("textbox", { name: "Entity" }).fill(entity);
    await page.getByRole("textbox", { name: "Event", exact: true }).fill("UserStatus");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText("The user may subscribe to this event.").waitFor();
    await picture("connection");

    // In one size for a user who is not subscribed to the queue, in the others for all subscribers.
    const user = width === 1920 ? `&user=${options.user}` : "";
    await page.goto(`${page.url().split("#")[0]}#/events?event=QueueStatus&entity=${options.queue}${user}`);
    await page.locator("tbody td:nth-child(3) a").first().click();
    await page.getByRole("heading", { name: /became of it/ }).waitFor();
    await page.locator(".tree").waitFor();
    if (user) await page.getByText(/^not delivered: the connection has no subscription/).waitFor();
    await picture("trace");
    fine(problems);
  }
});
end();
