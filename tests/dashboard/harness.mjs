// Starts the fake Graph, which also serves the built dashboard, and Chromium.
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { startFake as start } from "../fake.mjs";

const absolutePath = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const SCREENSHOTS = absolutePath("screenshots");
mkdirSync(SCREENSHOTS, { recursive: true });
export const VIEWS = ["calendar", "contacts", "recordings"];

export async function startFake() {
  assert.ok(existsSync(absolutePath("www/dist/index.html")), "build the dashboard first: make build");
  return start("--seed", "1", "--static", absolutePath("www/dist"));
}

export function startChromium() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

let made = 0;

/** A world of the fake Graph. Each test makes one. */
export class World {
  constructor(origin, id) {
    this.origin = origin;
    this.id = id;
  }

  static async make(origin, { options = {}, populate = { events: 40, contacts: 35, recordings: 12 } } = {}) {
    const world = new World(origin, `t${process.pid}-${(made += 1)}`);
    await world.control("POST", "", { id: world.id, seed: 7, options, populate });
    return world;
  }

  get root() {
    return `${this.origin}/w/${this.id}/v1.0`;
  }

  async control(method, path, body) {
    const response = await fetch(`${this.origin}/control/worlds${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  request(method, path, body) {
    return this.control(method, `/${this.id}${path}`, body);
  }

  edit(...edits) {
    return this.request("POST", "/edits", edits).then(({ ids }) => ids);
  }

  fault(match, fault, times = 1) {
    return this.request("POST", "/faults", [{ match, times, fault }]);
  }

  table(name, query = "") {
    return this.request("GET", `/tables/${name}${query}`);
  }

  /** The requests to Graph, without preflights. */
  async log(collection) {
    const entries = await this.request("GET", "/log");
    return entries.filter(
      ({ kind, collection: of }) => kind !== "preflight" && (collection === undefined || of === collection),
    );
  }

  clearLog() {
    return this.request("DELETE", "/log");
  }

  url(parameters = {}, view = "") {
    return `${this.origin}/?${new URLSearchParams({ world: this.id, auto: "off", ...parameters })}${view && `#${view}`}`;
  }
}

/** Opens the dashboard and waits until it shows its mirrors. */
export async function open(context, world, parameters = {}, view = "calendar") {
  const page = await context.newPage();
  await page.goto(world.url(parameters, view));
  await ready(page);
  return page;
}

export const ready = (page) => page.waitForSelector('body[data-ready="true"]');

/** Goes to a view. */
export const show = async (page, view) => {
  await page.getByRole("navigation", { name: "Views" }).locator(`a[href="#${view}"]`).click();
  await page.waitForSelector(`#${view}`);
};

/** Clicks a button of the current view. */
export const press = (page, name) =>
  page.getByRole("main").getByRole("button", { name, exact: true }).first().click();

/** Waits for the end of the round of a view. */
export const idle = (page, view) => page.waitForSelector(`#${view}[data-busy="false"]`);
const allIdle = (page) => page.waitForSelector('#sync-all[data-busy="false"]');

/** Clicks Sync in a view and waits for the end of the round. Resolves to its details, if shown. */
export async function sync(page, view) {
  await show(page, view);
  await press(page, "Sync");
  await idle(page, view);
  return (await details(page).count()) > 0 ? detailsOf(page, view) : "";
}

const details = (page) => page.getByRole("group", { name: /^Details of/ });

export async function syncAll(page) {
  await page.getByRole("button", { name: "Sync all" }).click();
  await allIdle(page);
}

/** The technical details of a view, which the dashboard shows while the switch "Details" is on. */
export async function detailsOf(page, view) {
  await show(page, view);
  return details(page).innerText();
}

export async function count(page, view) {
  await show(page, view);
  return Number(await page.getAttribute(`#${view}`, "data-count"));
}

/** The numbers of items of all views. */
export async function counts(page) {
  const found = [];
  for (const view of VIEWS) found.push(await count(page, view));
  return found;
}

/** Waits until a view has at least this number of items. */
export async function untilCount(page, view, least = 1) {
  await show(page, view);
  await page.waitForFunction(
    ([view, least]) => Number(document.getElementById(view)?.dataset.count) >= least,
    [view, least],
  );
}

export const problem = (page) => page.getByRole("group", { name: "Problem" });

/** The changes of the last round, as the details of a view list them. */
export async function lastChanges(page, view) {
  await show(page, view);
  return page
    .locator(`#${view} ul[aria-label="Changes of the last round"] li[data-verb]`)
    .evaluateAll((rows) => rows.map((row) => [row.dataset.verb, row.querySelector(".what")?.textContent]));
}

export const idsOf = (page, selector) =>
  page.locator(selector).evaluateAll((rows) => [...new Set(rows.map((row) => row.dataset.id))].sort());

/** The ids of the contacts, recordings or events that the dashboard shows. */
export async function shownIds(page, view) {
  await show(page, view);
  const rows = { calendar: ".entry", contacts: "tbody tr", recordings: ".recording" };
  return idsOf(page, `#${view} ${rows[view]}`);
}

export const pathOf = (url) => url.slice(new URL(url).origin.length);
