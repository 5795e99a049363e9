// Walks through the console in Chromium: walk.mjs URL NODE_MODULES CHROMIUM FOLDER; prints what is wrong, a line each.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [base, modules, executablePath, folder] = process.argv.slice(2);
const require = createRequire(join(modules, "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const VIEWS = ["", "#/models/digits", "#/models/digits/versions", "#/models/digits/versions/2", "#/models/digits/versions/compare?first=1&second=2",
  "#/versions?filter=metrics.accuracy%20%3E%200.5", "#/models/digits/route", "#/models/digits/drift", "#/models/digits/quality", "#/models/digits/alerts",
  "#/models/digits/call", "#/models/digits/history", "#/replicas", "#/alerts", "#/alerts/objectives", "#/alerts/rules", "#/audit", "#/models/nothing"];
const RULES = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
const wrong = [];
const tell = (text) => { wrong.push(text); console.log(text); };

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

async function open(hash, { width = 1440, colorScheme = "light", isAway = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  const where = `${hash || "#/models"} at ${width}, ${colorScheme}`;
  const isExpected = (text) => isAway || (hash === "#/models/nothing" && text.includes("404"));
  page.on("console", (message) => { if (message.type() === "error" && !isExpected(message.text())) tell(`${where}: ${message.text()}`); });
  page.on("pageerror", (error) => tell(`${where}: ${error.message}`));
  page.on("dialog", (dialog) => { tell(`${where}: a script of a name ran`); dialog.dismiss(); });
  page.on("request", (request) => { if (!request.url().startsWith(base) && !/^(data|blob):/.test(request.url())) tell(`${where}: asks ${request.url()}`); });
  await page.goto(`${base}/${hash}`);
  await settled(page);
  return page;
}

async function settled(page) {
  await page.waitForSelector("main > *");
  await page.waitForFunction(() => !document.querySelector("main .skeleton"));
}

async function look(hash, width, colorScheme) {
  const page = await open(hash, { width, colorScheme });
  const where = `${hash || "#/models"} at ${width}, ${colorScheme}`;
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) tell(`${where}: ${over} pixels too wide`);
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const found = await page.evaluate((runOnly) => axe.run(document, { runOnly }), RULES);
  for (const each of found.violations) tell(`${where}: ${each.id}: ${each.help}: ${each.nodes[0].html.slice(0, 200)}`);
  const name = `${hash.replace(/[#/?=&]+/g, "-").replace(/^-/, "") || "models"}-${width}-${colorScheme}`;
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  await page.context().close();
}

async function step(name, hash, act, options) {
  const page = await open(hash, options);
  page.setDefaultTimeout(10000);
  try {
    await act(page);
  } catch (error) {
    tell(`${name}: ${error.message.split("\n")[0]}`);
  }
  await page.context().close();
}

function expect(name, wanted, found) {
  if (JSON.stringify(wanted) !== JSON.stringify(found)) tell(`${name}: wanted ${JSON.stringify(wanted)}, found ${JSON.stringify(found)}`);
}

const names = (page) => page.locator("main th[scope=row] a").allTextContents();

for (const width of [360, 820, 1440]) for (const hash of VIEWS) for (const scheme of ["light", "dark"]) await look(hash, width, scheme);
for (const hash of VIEWS.filter((each) => each.includes("versions"))) for (const scheme of ["light", "dark"]) await look(hash, 320, scheme);

await step("search", "", async (page) => {
  await page.getByRole("searchbox").fill("dig");
  await page.waitForFunction(() => location.hash.includes("search=dig"));
  await page.waitForFunction(() => document.querySelectorAll("main th[scope=row]").length === 1);
  expect("search", ["digits"], await names(page));
  expect("a description is text", true, (await page.locator("main").innerText()).includes("<img src=x onerror=alert(1)>"));
  await page.reload();
  await settled(page);
  expect("a link shows the same", ["digits"], await names(page));
});
await step("keyboard", "", async (page) => {
  await page.keyboard.press("Tab");
  expect("the skip link is first", "To the content", await page.evaluate(() => document.activeElement.textContent));
  await page.keyboard.press("Enter");
  expect("it leads to the content", "content", await page.evaluate(() => document.activeElement.id));
  const seen = new Set();
  for (let times = 0; times < 40; times += 1) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120)));
  }
  expect("nothing traps the focus", true, seen.size > 4);
});
await step("a range in the address", "#/models/digits?range=1h", async (page) => {
  expect("range", "1 h", await page.locator('[aria-label="Time range"] [aria-pressed=true]').innerText());
  expect("each chart has its words", true, await page.locator(".plot[role=img][aria-label]").count() >= 5);
  await page.getByText("As a table").first().click();
  await page.locator(".alternative table").first().waitFor();
});
await step("trying it", "#/models/digits/call", async (page) => {
  await page.getByRole("button", { name: "Ask it" }).click();
  await page.getByText("answered by v1").waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  expect("the copied call", true, (await page.evaluate(() => navigator.clipboard.readText())).startsWith("curl"));
});
await step("moving the route", "#/models/digits/route", async (page) => {
  await page.getByRole("button", { name: "Move it…" }).click();
  await page.getByLabel("Stable version").selectOption("2");
  expect("no reason, no move", true, await page.getByRole("button", { name: "Move the route" }).isDisabled());
  await page.getByLabel(/^Reason/).fill("two is better");
  await page.getByRole("button", { name: "Move the route" }).click();
  await page.getByText("v2 does not pass the gate of digits.").waitFor();
  await page.getByText("worse by 0.07").waitFor();
  expect("once is not enough", true, await page.getByRole("button", { name: "Move it all the same" }).isDisabled());
  await page.getByLabel(/Give it callers/).check();
  await page.getByRole("button", { name: "Move it all the same" }).click();
  await page.getByText("The route was moved.").waitFor();
  await page.getByRole("button", { name: "Roll back…" }).click();
  await page.getByLabel(/^Reason/).fill("it was not");
  await page.getByRole("button", { name: "Roll back to v1" }).click();
  await page.getByText("The route is back at v1.").waitFor();
  await page.getByRole("link", { name: "History" }).click();
  await page.getByText("it was not").waitFor();
}, { isAway: true });
await step("what is said of versions", "#/models/digits", async (page) => {
  expect("a run that retrains is told", 1, await page.getByText("retraining: run r7").count());
  await page.getByRole("link", { name: "Versions", exact: true }).click();
  await page.getByText("does not pass").waitFor();
  await page.getByRole("link", { name: "v2", exact: true }).first().click();
  await page.getByRole("heading", { name: "Model card" }).waitFor();
  expect("its parent", 1, await page.locator(".chain a", { hasText: "v1" }).count());
  expect("no optimisation, but how one is made", 1, await page.getByText("headrace optimise digits --version 2 --method auto").count());
  await page.getByRole("link", { name: /^Compare with v1/ }).click();
  await page.getByText("beyond the intervals").waitFor();
  await page.getByRole("heading", { name: "Signature" }).waitFor();
});
await step("a hostile card", "#/models/digits/versions/2", async (page) => {
  const card = page.locator(".markdown");
  await card.getByRole("heading", { name: "A card" }).waitFor();
  expect("what a card may have", ["A", "BLOCKQUOTE", "CODE", "DIV", "EM", "H3", "H4", "HR", "IMG", "LI", "OL", "P", "PRE", "SPAN", "STRONG", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL"],
    await card.evaluate((root) => [...new Set([...root.querySelectorAll("*")].map((each) => each.tagName))].sort()));
  expect("where its links lead", ["http:", "https:", "mailto:"], await card.evaluate((root) => [...new Set([...root.querySelectorAll("a")].map((each) => new URL(each.href).protocol))].sort()));
  expect("its attributes", [], await card.evaluate((root) => [...root.querySelectorAll("*")].flatMap((each) => each.getAttributeNames()).filter((name) => name.startsWith("on") || name === "style" || name === "srcdoc")));
  expect("a picture of its own", 1, await card.locator("img").evaluate((image) => image.decode().then(() => image.naturalWidth)));
  expect("tags are text", true, (await card.innerText()).includes("<script>alert(1)</script>"));
  expect("nothing ran", undefined, await page.evaluate(() => window.ran));
});
await step("a hostile report", "#/models/digits/versions/2", async (page) => {
  const [report] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("link", { name: /^Evaluation on test.csv/ }).click()]);
  await report.getByText("A report").waitFor();
  report.on("dialog", (dialog) => { tell("a report ran a script"); dialog.dismiss(); });
  expect("no script ran", "Report", await report.title());
  expect("it has no origin and no opener", ["null", true], await report.evaluate(() => [self.origin, window.opener === null]));
  await report.locator("button").click();
  expect("its form went nowhere", true, report.url().includes("/attachment?path="));
  expect("its style is there, no picture of others", ["rgb(0, 128, 0)", 0], await report.evaluate(() => [getComputedStyle(document.querySelector("h1")).color, document.querySelector("img").naturalWidth]));
  const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Save evaluation/test.csv/plot.svg" }).click()]);
  expect("SVG is saved", "plot.svg", saved.suggestedFilename());
});
await step("a filter", "#/versions", async (page) => {
  await page.getByLabel(/^Condition/).fill("metrics.accuracy >> 0.5");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  expect("where it is wrong", ">", await page.locator("mark").innerText());
  await page.getByLabel(/^Condition/).fill("metrics.accuracy > 0.95");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("main tbody tr").length === 1);
  expect("found", "0.97", await page.locator("main tbody strong").innerText());
}, { isAway: true });
await step("a monitor that is away", "#/models/digits", async (page) => {
  await page.route("**/api/**", (route) => route.abort());
  await page.getByText("The monitor cannot be reached.").first().waitFor({ timeout: 30000 });
  expect("what was told stays", true, await page.getByRole("heading", { name: "Versions" }).isVisible());
  await page.unroute("**/api/**");
  await page.waitForFunction(() => !document.querySelector(".note.bad"), null, { timeout: 40000 });
}, { isAway: true });
await step("colours", "", async (page) => {
  await page.getByRole("button", { name: /^Colours as the system/ }).click();
  await page.getByRole("button", { name: /^Light/ }).click();
  await page.reload();
  expect("the choice is kept", "dark", await page.evaluate(() => document.documentElement.dataset.theme));
});
await browser.close();
process.exit(wrong.length ? 1 : 0);
