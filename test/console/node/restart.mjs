// The node goes and comes back under an open console, which shows that its data is old, and recovers by itself. So does
// Redis.
import assert from "node:assert/strict";
import { end, fine, launch, open, options, show, signIn, want } from "./stage.mjs";

await launch(async (browser) => {
  const overview = await open(browser);
  const tap = await open(browser);
  await signIn(overview.page, options.operator);
  await signIn(tap.page, options.operator);
  await show(tap.page, "Live tap");
  await tap.page.getByText("live", { exact: true }).waitFor();
  await overview.page.getByText("2 of 2 ready").waitFor();

  overview.page.expectsOutage = tap.page.expectsOutage = true;
  await want("stop");
  await overview.page.getByRole("banner").getByText(/stale since/).waitFor();
  await overview.page.getByText(/The console tries again by itself/).first().waitFor();
  await tap.page.getByText(/Trying again|trying again/).first().waitFor();
  await want("start");
  await overview.page.getByRole("banner").getByText(/stale since/).waitFor({ state: "detached" });
  await overview.page.getByText("2 of 2 ready").waitFor();
  await tap.page.getByText("live", { exact: true }).waitFor();

  // Redis goes and comes back: the nodes see that, and the console shows it first.
  await want("stop Redis");
  await overview.page.getByText(/has no Redis$/).first().waitFor();
  assert.match(await overview.page.locator(".problem").first().innerText(), /has no Redis|does not answer|backplane/);
  await want("start Redis");
  await overview.page.getByText(/has no Redis$/).first().waitFor({ state: "detached" });
  await overview.page.getByText("2 of 2 ready").waitFor();
  fine([...overview.problems, ...tap.problems]);
});
end();
