// The status page: a table without scripts.
import type { MailboxStatus } from "deltalink/workers";

export const MAX_ROWS = 100;

type Row = Partial<MailboxStatus> & { mailbox: string };

/** The label of each phase, in order of importance. */
const LABELS = {
  failed: "failing",
  current: "up to date",
  syncing: "syncing",
  waiting: "waiting",
  new: "new",
};

const STYLE = `:root { color-scheme: light dark } body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .4rem .7rem; vertical-align: top } tr + tr td { border-top: 1px solid #8884 }
.n { text-align: right; font-variant-numeric: tabular-nums } tr.why td { border-top: 0; padding-top: 0; overflow-wrap: anywhere } .scroll { overflow-x: auto }
.is { font-weight: 600 } .current { color: light-dark(#1d6b3c, #7fd6a0) } .failed { color: light-dark(#a8261f, #ff9d94) } .syncing { color: light-dark(#0b6470, #69cbd2) }`;

export async function statusPage(count: number, rows: Row[], after: string): Promise<Response> {
  const now = Date.now();
  const counts = Object.entries(LABELS)
    .map(([phase, label]) => `${rows.filter((row) => row.phase === phase).length} ${label}`)
    .filter((text) => !text.startsWith("0 "));
  const some = rows.length < count ? `, ${rows.length} of them here` : "";
  const last = rows.at(-1)?.mailbox;
  const next = rows.length === MAX_ROWS && last !== undefined ? `?after=${encodeURIComponent(last)}` : "";
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mailboxes</title><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="15"><style>${STYLE}</style></head><body>
<h1>${count} ${count === 1 ? "mailbox" : "mailboxes"}${some}</h1><p>${counts.join(", ")}, as of ${timeHtml(now)}</p>
${count ? "" : "<p>No mailboxes yet. Add one: <code>curl -u :PASSWORD -X PUT https://…/mailboxes/NAME</code></p>"}
<div class="scroll"><table><thead><tr><th>Mailbox</th><th>State</th><th>Last sync</th><th>Next try</th><th class="n">Items</th><th class="n">Sent</th></tr></thead>
<tbody>${rows.map((row) => rowHtml(row, now)).join("\n")}</tbody></table></div>
<p>${after ? `<a href="/">first</a> ` : ""}${next ? `<a href="/${next}">next ${MAX_ROWS}</a>` : ""}</p></body></html>`;
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

function rowHtml({ mailbox, phase = "new", lastError, subscribeError, ...row }: Row, now: number): string {
  const id = lastError?.requestId ? ` (request ${escapeHtml(lastError.requestId)})` : "";
  const why = [
    lastError && `<b>${escapeHtml(lastError.code)}</b> ${escapeHtml(lastError.message)}${id}`,
    subscribeError && `<b>notifications</b> ${escapeHtml(subscribeError)}`,
  ].filter(Boolean);
  const next = row.nextTry !== undefined && row.nextTry <= now ? "now" : timeHtml(row.nextTry);
  return `<tr><td>${escapeHtml(mailbox)}</td><td><span class="is ${phase}">${LABELS[phase]}</span></td><td>${timeHtml(row.lastSync)}</td><td>${next}</td><td class="n">${
    row.items ?? ""
  }</td><td class="n">${row.sent ?? ""}</td></tr>${why.length ? `<tr class="why"><td colspan="6">${why.join("<br>")}</td></tr>` : ""}`;
}

function timeHtml(at: number | undefined): string {
  return at === undefined
    ? "–"
    : `<time>${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC</time>`;
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
