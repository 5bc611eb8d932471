// An operator signs in, watches an event, finds out what became of it, and acts on connections, nodes and tokens.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { api, end, fine, first, launch, open, options, second, show, signIn, until } from "./stage.mjs";

const [user] = options.users;

/** publish publishes an event of the entity, and returns its id. */
async function publish(more = {}) {
  const id = randomUUID();
  const answer = await api("POST", "/api/publish", {
    body: JSON.stringify({
      Id: id, OrganizationId: options.organization, EntityType: "User", EntityId: options.entity,
      EventType: "UserCallInArrived", CallerNumber: "+358401234567", ...more,
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return id;
}

/** agree confirms an action, after a look at the number of clients. */
async function agree(page, action, clients) {
  const dialog = page.getByRole("dialog");
  await dialog.getByText(clients, { exact: true }).waitFor();
  await dialog.getByRole("button", { name: action, exact: true }).click();
}

await launch(async (browser) => {
  const { page, problems } = await open(browser, { allowed: [400, 401] });

  const field = (name) => page.getByRole("main").getByRole("textbox", { name, exact: true });

  // The way in.
  await page.getByLabel("Operator token").fill("a wrong one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The node does not accept the token.").waitFor();
  await signIn(page, options.operator);
  assert.deepEqual(await page.evaluate(() => Object.values(localStorage).filter((v) => v.includes("token"))), []);
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor(); // the tab remembers the token

  // The overview.
  const nodes = page.getByRole("region", { name: "Nodes" }).first();
  await nodes.getByText("2 of 2 ready").waitFor();
  await page.locator(".tile", { hasText: "Connections" }).getByText("6", { exact: true }).waitFor();

  // The tap shows an event within a second, once, and without what is personal.
  await show(page, "Live tap");
  await page.getByText("live", { exact: true }).waitFor();
  await page.waitForTimeout(500); // the other node joins
  const began = Date.now();
  const event = await publish();
  await page.locator(`a[href="#/events/${event}"]`).waitFor();
  const shown = Date.now() - began;
  console.log(`the tap showed the event after ${shown} ms`);
  assert.ok(shown < 1000, `the tap showed the event after ${shown} ms`);
  const row = page.locator("ol.tap > li", { has: page.locator(`a[href="#/events/${event}"]`) });
  await row.getByText("6 subscribers").waitFor();
  assert.equal(await row.count(), 1);
  assert.ok(!(await row.innerText()).includes("358401234567"));
  await page.getByRole("button", { name: "Pause" }).click();
  const later = await publish();
  await page.waitForTimeout(600);
  assert.equal(await page.locator(`a[href="#/events/${later}"]`).count(), 0);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator(`a[href="#/events/${later}"]`).waitFor();

  // Its trace, found by its id, and the sentence for a user.
  await show(page, "Events");
  await field("Event Id").fill(event);
  await page.getByRole("button", { name: "Trace", exact: true }).click();
  await page.getByText("matched 3 subscribers").nth(1).waitFor();
  assert.equal(await page.locator(".tree").getByText("UserCallInArrived").count(), 1);
  await field("User").fill(user);
  await page.getByRole("button", { name: "Why?" }).click();
  await page.getByText(/^delivered: sent to connection/).waitFor();
  await field("User").fill(randomUUID());
  await page.getByRole("button", { name: "Why?" }).click();
  await page.getByText(/^not delivered: the user had no connection/).waitFor();

  // Events by entity; a dry run.
  await show(page, "Events");
  const find = page.getByRole("form", { name: "Events" });
  await find.getByRole("textbox", { name: "Entity" }).fill(options.entity);
  await find.getByRole("button", { name: "Find" }).click();
  await page.getByRole("link", { name: later }).waitFor();
  await page.getByLabel("Event, as a publisher would send it").fill(JSON.stringify({
    Id: randomUUID(), OrganizationId: options.organization, EntityType: "User", EntityId: options.entity, EventType: "UserStatus",
  }));
  await page.getByRole("button", { name: "Find out" }).click();
  await page.getByText("6 receivers").waitFor();

  // A connection of the other node: explain, then disconnect.
  await show(page, "Connections");
  await page.getByText("6 of 6 match").waitFor();
  await field("User").fill(options.users[1]);
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByText("1 of 6 match").waitFor();
  await page.locator("tbody a").first().click();
  await page.getByRole("heading", { level: 1, name: "Connection" }).waitFor();
  await page.getByText("nothing waits").waitFor();
  await field("Entity").fill(options.entity);
  await field("Event").fill("UserStatus");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("The user may subscribe to this event.").waitFor();
  const id = decodeURIComponent(new URL(page.url()).hash.split("/")[2]);
  const connected = async () => (await api("GET", `/api/connections/${encodeURIComponent(id)}`)).status === 200;
  await page.getByRole("button", { name: "Disconnect…" }).click();
  await page.getByRole("button", { name: "Keep everything as it is" }).click();
  assert.ok(await connected());
  await page.getByRole("button", { name: "Disconnect…" }).click();
  await agree(page, "Disconnect", "1 client");
  await until("the client to go", async () => !(await connected()));
  await page.getByText("The connection was ended.").waitFor();
  await page.getByText("The connection has ended. A client that comes back has another one.").first().waitFor();

  // The topics of the entity.
  await show(page, "Topics");
  await field("Entity").fill(options.entity);
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("cell", { name: "UserCallInArrived" }).waitFor();

  // The other node: drain and cancel, shed, log level, reload.
  await show(page, "Nodes");
  const { nodes: known } = await (await api("GET", "/api/nodes", { node: second })).json();
  const name = known[0].id;
  const card = page.getByRole("listitem", { name: `Node ${name}` });
  const state = async () => (await (await api("GET", "/api/overview", { node: second })).json()).nodes[0];
  const { sessions: connections } = await state();
  await card.getByRole("button", { name: "Drain…" }).click();
  await page.getByRole("dialog").getByLabel("Over").fill("60s");
  await page.getByRole("button", { name: "Go on…" }).click();
  await agree(page, "Drain", `${connections} client${connections === 1 ? "" : "s"}`);
  await card.getByText("draining").waitFor();
  assert.equal((await state()).departure.action, "drain");
  await page.getByRole("banner").getByText(`${name} drains`).waitFor();
  await card.getByRole("button", { name: "Cancel drain" }).click();
  await card.getByText("ready").waitFor();
  assert.equal((await state()).departure.action, "none");
  await card.getByRole("button", { name: "Shed…" }).click();
  await page.getByRole("dialog").getByLabel(/^Clients/).fill("1");
  await page.getByRole("button", { name: "Go on…" }).click();
  await agree(page, "Shed", "1 client");
  await page.getByText(`${name} sheds:`).waitFor();
  await card.getByRole("button", { name: "Log level…" }).click();
  await page.getByRole("dialog").getByRole("combobox").selectOption("debug");
  await page.getByRole("button", { name: "Set" }).click();
  await page.getByText("logs at level debug").waitFor();
  assert.equal((await (await api("GET", "/api/log-level", { node: second })).json()).level, "debug");
  assert.equal((await (await api("GET", "/api/log-level", { node: first })).json()).level, "info");
  await card.getByRole("button", { name: "Reload" }).click();
  await page.getByText(`${name} reloaded:`).waitFor();

  // Quarantine and revocations.
  await show(page, "Quarantine");
  await page.getByText("not json").first().waitFor();
  await show(page, "Revocations");
  await page.getByText("No token is revoked.").waitFor();
  await field("User or token id").fill(options.users[2]);
  await page.getByRole("button", { name: "Revoke…" }).click();
  await agree(page, "Revoke", "1 client");
  await page.getByText("Revoked on all nodes.").waitFor();
  await page.getByRole("button", { name: "Undo…" }).click();
  await agree(page, "End it", "0 clients");
  await page.getByText("The revocation has ended on all nodes.").waitFor();

  // Signed out, the tab forgets the token.
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Operator token").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  fine(problems);
});
end();
