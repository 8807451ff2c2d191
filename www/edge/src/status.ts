// The status page: a table without scripts.
import type { MailboxStatus } from "./objects";

export const PER_PAGE = 100;

type Row = Partial<MailboxStatus> & { mailbox: string };

/** The label of each phase, in order of importance. */
const LABELS = {
  failed: "failing",
  current: "up to date",
  syncing: "syncing",
  waiting: "waiting",
  new: "new",
};
const ALWAYS_SHOWN = ["failing", "up to date"];

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#dbe2e3, #2b383c); --muted: light-dark(#526063, #9fb0b3); --surface: light-dark(#fff, #161e21);
  --good: light-dark(#1d6b3c, #7fd6a0); --good-soft: light-dark(#e3f3e8, #163122); --bad: light-dark(#a8261f, #ff9d94); --bad-soft: light-dark(#fdeceb, #3a1b19);
  --busy: light-dark(#0b6470, #69cbd2); --busy-soft: light-dark(#e0f0f1, #173438); --calm: light-dark(#526063, #9fb0b3); --calm-soft: light-dark(#edf1f1, #1f2a2d); }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; font: 15px/1.5 ui-sans-serif, system-ui, "Segoe UI", sans-serif;
  background: light-dark(#f5f7f7, #0f1517); color: light-dark(#16201f, #e7eeee); }
h1 { font-size: 1.35rem; margin: 0; } header p, footer { color: var(--muted); margin: .15rem 0 1.5rem; }
ul.sum { display: flex; flex-wrap: wrap; gap: .75rem; list-style: none; padding: 0; margin: 0 0 1.5rem; }
ul.sum li { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: .6rem 1rem; min-width: 6.5rem; }
ul.sum b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .6rem 1rem; vertical-align: top; white-space: nowrap; }
th { font-size: .8rem; font-weight: 600; color: var(--muted); border-bottom: 1px solid var(--line); } tr + tr td { border-top: 1px solid var(--line); }
td.n { text-align: right; font-variant-numeric: tabular-nums; } th.n { text-align: right; }
tr.why td { border-top: 0; padding-top: 0; white-space: normal; color: var(--muted); font-size: .88rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) { body { padding: 1.25rem .75rem 3rem; } th, td { padding: .5rem .65rem; } td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
  .less { display: none; } ul.sum { gap: .5rem; } ul.sum li { min-width: 0; flex: 1 1 5rem; padding: .4rem .7rem; } }
.is { border-radius: 99px; padding: .1rem .65rem; font-size: .85rem; font-weight: 600; color: var(--calm); background: var(--calm-soft); }
.is.current { color: var(--good); background: var(--good-soft); } .is.failed { color: var(--bad); background: var(--bad-soft); } .is.syncing { color: var(--busy); background: var(--busy-soft); }
.none { padding: 2.5rem 1rem; text-align: center; color: var(--muted); } code { font-size: .9em; } a { color: var(--busy); }
`;

export async function statusPage(count: number, rows: Row[], after: string): Promise<Response> {
  const now = Date.now();
  const counts = Object.entries(LABELS).map(
    ([phase, label]) => [label, rows.filter((row) => row.phase === phase).length] as const,
  );
  const shown = counts.filter(([label, n]) => n || ALWAYS_SHOWN.includes(label));
  const some = rows.length < count ? `, ${rows.length} of them here` : "";
  const last = rows.at(-1)?.mailbox;
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Recordings</title><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="15"><style>${STYLE}</style></head><body>
<header><h1>Recordings</h1><p>${count} ${count === 1 ? "mailbox" : "mailboxes"}${some}, as of ${timeHtml(now, now)}</p></header>
${
  count
    ? `<ul class="sum">${shown.map(([label, n]) => `<li><b>${n}</b>${label}</li>`).join("")}</ul>
<div class="scroll"><table><thead><tr><th>Mailbox</th><th>State</th><th>Last sync</th><th>Next try</th><th class="n less">Items</th><th class="n less">Sent</th></tr></thead>
<tbody>${rows.map((row) => rowHtml(row, now)).join("\n")}</tbody></table></div>`
    : `<div class="scroll none">No mailboxes yet. Add one: <code>curl -u :PASSWORD -X PUT https://…/mailboxes/ORGANIZER</code></div>`
}
<footer><p>${after ? `<a href="/">first</a> ` : ""}${rows.length === PER_PAGE && last !== undefined ? `<a href="/?after=${encodeURIComponent(last)}">next ${PER_PAGE}</a> ` : ""}</p></footer>
</body></html>`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(STYLE));
  const hash = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return new Response(body, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    },
  });
}

function rowHtml(row: Row, now: number): string {
  const phase = row.phase ?? "new";
  const error = row.lastError
    ? `<b>${escapeHtml(row.lastError.code)}</b> ${escapeHtml(row.lastError.message)}${row.lastError.requestId ? ` (request ${escapeHtml(row.lastError.requestId)})` : ""}`
    : "";
  const subscription = row.subscribeError ? `<b>notifications</b> ${escapeHtml(row.subscribeError)}` : "";
  const why = [error, subscription].filter(Boolean).join("<br>");
  return `<tr><td>${escapeHtml(row.mailbox)}</td><td><span class="is ${phase}">${LABELS[phase]}</span></td><td>${timeHtml(row.lastSync, now)}</td><td>${row.nextTry !== undefined && row.nextTry <= now ? "now" : timeHtml(row.nextTry, now)}</td><td class="n less">${
    row.items ?? ""
  }</td><td class="n less">${row.sent ?? ""}</td></tr>${why && `<tr class="why"><td colspan="6">${why}</td></tr>`}`;
}

/** Returns a relative time. Its tooltip has the exact one. */
function timeHtml(at: number | undefined, now: number): string {
  if (at === undefined) return "–";
  const iso = new Date(at).toISOString();
  const seconds = Math.round((at - now) / 1000);
  const [size, unit] =
    Math.abs(seconds) < 90
      ? [1, "second"]
      : Math.abs(seconds) < 5400
        ? [60, "minute"]
        : Math.abs(seconds) < 129_600
          ? [3600, "hour"]
          : [86_400, "day"];
  const words =
    seconds === 0
      ? at === now
        ? iso.slice(0, 16).replace("T", " ") + " UTC"
        : "now"
      : new Intl.RelativeTimeFormat("en").format(Math.round(seconds / Number(size)), unit as "second");
  return `<time datetime="${iso}" title="${iso}">${words}</time>`;
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
