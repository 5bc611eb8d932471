// A reader sees everything but the quarantine, and can do nothing: neither in the console nor by the API.
import assert from "node:assert/strict";
import { api, end, fine, launch, open, options, pages, show, signIn } from "./stage.mjs";

const actions = /Disconnect|Drain|Shed|Cancel|Log level|Reload|Revoke|Undo|Find out/;

await launch(async (browser) => {
  const { page, problems } = await open(browser);
  await signIn(page, options.reader);
  await page.getByRole("banner").getByText("read only").waitFor();
  for (const name of Object.values(pages)) {
    if (name === "Quarantine") {
      assert.equal(await page.getByRole("link", { name }).count(), 0);
      continue;
    }
    await show(page, name);
    await page.locator("main .loading").first().waitFor({ state: "detached" });
    assert.equal(await page.getByRole("button", { name: actions }).count(), 0, name);
  }
  await show(page, "Connections");
  await page.locator("tbody a").first().click();
  await page.getByRole("heading", { name: "Subscriptions" }).waitFor();
  assert.equal(await page.getByRole("button", { name: actions }).count(), 0);

  const refused = [
    ["POST", `/api/disconnect?nodes=all&user=${options.users[0]}`], ["POST", "/api/drain"], ["DELETE", "/api/drain"],
    ["POST", "/api/shed?connections=1"], ["POST", "/api/revoke"], ["DELETE", `/api/revocations?user=${options.users[0]}`],
    ["POST", "/api/log-level?level=debug"], ["POST", "/api/reload"], ["POST", "/api/events/dry-run"],
    ["GET", "/api/quarantine"], ["GET", "/api/tap?data=full"],
  ];
  for (const [method, path] of refused) {
    const answer = await api(method, path, { token: options.reader });
    assert.equal(answer.status, 403, `${method} ${path}`);
    await answer.text();
  }
  fine(problems);
});
end();
