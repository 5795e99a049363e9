// Pieces that all pages are made of.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { time, utc, zone } from "./format.js";

export const Time = ({ at }) => at
  ? html`<time dateTime=${new Date(at * 1000).toISOString()} title=${`${utc(at)} (shown in ${zone})`}>${time(at)}</time>`
  : html`<span class="soft">–</span>`;

const STATES = {
  READY: ["good", "●", "ready"],
  LOADING: ["", "◌", "loading"],
  UNLOADING: ["", "◌", "unloading"],
  UNAVAILABLE: ["bad", "✕", "failed"],
  STANDBY: ["plain", "○", "on request"],
  NOT_LOADED: ["plain", "○", "not loaded"],
  DELETED: ["plain", "–", "deleted"],
  JOINING: ["", "◌", "joining"],
  LEAVING: ["warn", "◌", "leaving"],
  LOST: ["bad", "✕", "lost"],
  firing: ["bad", "▲", "firing"],
  pending: ["warn", "◆", "pending"],
  resolved: ["good", "✓", "resolved"],
};

// A state, told by its word and its sign as well as by its colour.
export function State({ state, prefix = "", title }) {
  const [look, sign, word] = STATES[state] || ["plain", "?", String(state).toLowerCase()];
  return html`<span class=${`chip ${look}`} title=${title}><span class="sign" aria-hidden="true">${sign}</span>${prefix}${prefix ? " " : ""}${word}</span>`;
}

export const Chip = ({ look = "", children, title, href }) => href
  ? html`<a class=${`chip ${look}`} href=${href} title=${title}>${children}</a>`
  : html`<span class=${`chip ${look}`} title=${title}>${children}</span>`;

export function Problem({ error, old, onRetry }) {
  if (!error) return null;
  const tells = error.status === 403 ? "You may not see this." : error.message;
  return html`<div class="note bad" role="alert">
    <span class="grow"><strong>${tells}</strong>${error.status === 403 ? ` ${error.message}` : ""} ${old ? html`What is shown is from ${time(old / 1000)}. ` : ""}${error.status && error.status < 500 ? "" : "Trying again."}</span>
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try now</button>`}
  </div>`;
}

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

export const Skeleton = ({ height = 200 }) => html`<span class="skeleton" style=${{ height: `${height}px` }} role="status"><span class="hidden-text">Loading</span></span>`;

export function Figures({ items }) {
  return html`<dl class="figures">${items.filter(Boolean).map(([name, value, look, more]) => html`
    <div key=${name}><dt>${name}</dt><dd class=${look || ""}>${value}${more ? html` <small>${more}</small>` : ""}</dd></div>`)}</dl>`;
}

export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>${options.map(([key, text]) => html`
    <button type="button" key=${key} aria-pressed=${key === value ? "true" : "false"} onClick=${() => onChange(key)}>${text}</button>`)}</div>`;
}

export function Copy({ text, label = "Copy" }) {
  const [told, tell] = useState("");
  useEffect(() => {
    if (!told) return undefined;
    const timer = setTimeout(() => tell(""), 1800);
    return () => clearTimeout(timer);
  }, [told]);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      tell("Copied");
    } catch {
      tell(byHand(text) ? "Copied" : "Select it by hand");
    }
  }
  return html`<button type="button" onClick=${copy} aria-live="polite">${told || label}</button>`;
}

// Where the page did not come over TLS or from this machine, browsers have no clipboard for scripts.
function byHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  const open = document.querySelector("dialog[open]") || document.body;
  open.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export const Code = ({ code }) => html`<div class="code"><pre tabindex="0"><code>${code}</code></pre><${Copy} text=${code} /></div>`;

// A dialog of the browser's own: it keeps the focus inside, and gives it back.
export function Dialog({ title, onClose, children }) {
  const place = useRef(null);
  useEffect(() => {
    place.current.showModal();
  }, []);
  return html`<dialog ref=${place} aria-label=${title} onClose=${onClose} onCancel=${onClose}>${children}</dialog>`;
}

// Asks for a reason, shows what will change, does it, and says what went wrong where something does:
// itself, or "onProblem", which gives true for what it shows.
export function Confirm({ title, change, act, danger, onClose, onDone, children, ready = true, needsReason = true, onProblem }) {
  const [reason, setReason] = useState("");
  const [problem, tell] = useState(null);
  const [busy, work] = useState(false);
  async function submit(event) {
    event.preventDefault();
    work(true);
    tell(null);
    try {
      onDone(await change(reason.trim()));
    } catch (error) {
      if (!onProblem?.(error)) tell(error);
      work(false);
    }
  }
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${submit}>
    <h2>${title}</h2>
    ${children}
    ${needsReason && html`<label class="field">Reason <small>One line, kept in the audit.</small>
      <input required maxLength="500" value=${reason} onInput=${(event) => setReason(event.currentTarget.value)} /></label>`}
    ${problem && html`<div class="note bad" role="alert"><span><strong>${problem.message}</strong> ${problem.reason === "ETAG_MISMATCH" ? "Somebody changed it meanwhile: close this, look again, and repeat it." : ""}</span></div>`}
    <footer><button type="button" onClick=${onClose}>Cancel</button>
      <button class=${danger ? "danger" : "main"} disabled=${busy || !ready || (needsReason && !reason.trim())}>${busy ? "Working…" : act}</button></footer>
  </form></${Dialog}>`;
}

export function Pager({ page, pages, total, noun, onPage }) {
  return html`<nav class="pager" aria-label="Pages"><span aria-live="polite">${total.toLocaleString("en")} ${noun}${pages > 1 ? `, page ${page} of ${pages}` : ""}</span>
    ${pages > 1 && html`<span class="bar"><button type="button" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>Back</button>
      <button type="button" disabled=${page >= pages} onClick=${() => onPage(page + 1)}>Next</button></span>`}</nav>`;
}

const GAPS = {
  TRIMMED: "older figures are gone",
  REPLICA_LOST: "ended without its last report",
  REPLICA_SILENT: "is silent",
  REPORTS_MISSING: "has reports that are missing",
  VERSIONS_FOLDED: "versions beyond the limit count as _other",
  MONITOR_AWAY: "does not answer, and knows of other replicas",
};

// What the figures do not cover.
export function Gaps({ gaps }) {
  if (!gaps?.length) return null;
  const told = gaps.slice(0, 4).map((gap) => {
    const reason = GAPS[String(gap.reason).toUpperCase().replaceAll(" ", "_")] || gap.reason;
    if (gap.monitor) return `the monitor ${gap.monitor} ${reason}`;
    return gap.replica ? `${gap.replica} ${reason} (since ${time(gap.start)})` : reason;
  });
  return html`<div class="note warn"><span><strong>These figures are incomplete:</strong> ${told.join("; ")}${gaps.length > 4 ? `; and ${gaps.length - 4} more` : ""}.</span></div>`;
}

export function CatalogNote({ catalog }) {
  if (!catalog || (catalog.known && catalog.connected)) return null;
  const text = catalog.known
    ? `The registry is away; models are shown as they were ${Math.round(catalog.age_seconds)} s ago.`
    : "The registry has not told its models yet; figures of versions are shown all the same.";
  return html`<div class="note warn" role="status"><span><strong>${text}</strong> ${catalog.problem || ""}</span></div>`;
}
