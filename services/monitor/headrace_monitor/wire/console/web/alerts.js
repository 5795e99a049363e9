// Alerts as they are shown on their page and on a model's.
import { html, useState } from "./vendor/preact.js";
import { post, segment } from "./api.js";
import { change, link } from "./route.js";
import { ago, length, millis, number, share } from "./format.js";
import { Chip, Confirm, Copy, State, Time } from "./parts.js";

const SEVERITIES = { page: ["bad", "page"], ticket: ["warn", "ticket"], info: ["", "info"] };
const KINDS = {
  objective: "Service objective", errors: "Errors", latency: "Latency", slower: "Slower than before", drift: "Drift", data_quality: "Data quality", quality: "Quality",
  missing_telemetry: "Missing telemetry", replica_lost: "Replica lost", version_not_ready: "Version not ready",
};

function measured(value, unit) {
  if (value === null || value === undefined) return "";
  if (unit === "share") return share(value);
  if (unit === "seconds") return value >= 60 ? length(value) : millis(value * 1000);
  return `${number(value)}${unit ? ` ${unit === "psi" ? "PSI" : unit}` : ""}`;
}

// The view of a field's values that an alert is about.
export function fieldPlace(alert, field, slice) {
  return link(["models", alert.model, "drift"], { version: alert.version || "", field, slice: slice || "", alert: alert.id });
}

function where(alert) {
  if (alert.kind === "drift" || alert.kind === "data_quality") return "drift";
  if (alert.kind === "quality") return "quality";
  return "";
}

export function Alert({ alert, may, open, onChanged, alone }) {
  const [doing, act] = useState("");
  const [look, word] = SEVERITIES[alert.severity] || ["", alert.severity];
  const isOver = alert.state === "resolved";
  const id = `alert-${alert.id}`;
  const done = () => { act(""); onChanged(); };
  return html`<article class="card tight" aria-labelledby=${id}>
    <div class="bar"><${State} state=${alert.state} />${!isOver && html`<${Chip} look=${look} title="how soon somebody has to look">${word}</${Chip}>`}
      ${alert.acknowledged_by && html`<${Chip} look="good">${alert.acknowledged_by} looks after it</${Chip}>`}${alert.silence && html`<${Chip} look="plain">silenced</${Chip}>`}
      <span class="hint grow">${KINDS[alert.kind] || alert.kind} · since <${Time} at=${alert.start_time} /> (${ago(alert.start_time)})${isOver ? html`, over since <${Time} at=${alert.resolve_time} />` : ""}</span></div>
    <h2 id=${id}>${alone ? alert.summary : html`<a href=${link(["alerts", alert.id])} aria-expanded=${open ? "true" : "false"}>${alert.summary}</a>`}</h2>
    <p class="chips">${alert.model && html`<a href=${link(["models", alert.model])}>${alert.model}${alert.version ? ` v${alert.version}` : ""}</a>`}
      ${alert.replica && html`<a href=${link(["replicas"], { search: alert.replica })}>${alert.replica}</a>`}
      ${(alert.slices || []).map((slice) => html`<${Chip} key=${slice} look="plain" title="slice">${slice || "all requests"}</${Chip}>`)}
      ${!open && (alert.fields || []).slice(0, 6).map((field) => html`<${Chip} key=${field.field} look="warn" href=${alert.model ? fieldPlace(alert, field.field, alert.slices?.[0]) : undefined}>${field.field}</${Chip}>`)}</p>
    ${open && html`<${Details} alert=${alert} />`}
    ${alert.incomplete?.length > 0 && html`<p class="note warn">The figures are incomplete, it may be better or worse: ${alert.incomplete.join("; ")}</p>`}
    ${!isOver && html`<div class="bar">
      ${may.acknowledge(alert) && !alert.acknowledged_by && html`<button type="button" onClick=${() => act("acknowledge")}>Acknowledge…</button>`}
      ${may.silence && !alert.silence && html`<button type="button" onClick=${() => act("silence")}>Silence…</button>`}</div>`}
    ${doing === "acknowledge" && html`<${Acknowledge} alert=${alert} onClose=${() => act("")} onDone=${done} />`}
    ${doing === "silence" && html`<${Silence} alert=${alert} onClose=${() => act("")} onDone=${done} />`}
  </article>`;
}

function Details({ alert }) {
  const reasons = Object.entries(alert.reasons || {}).sort((one, other) => other[1] - one[1]);
  return html`<div class="tight">
    ${alert.look_at && html`<p class="note"><span><strong>What to do:</strong> ${alert.look_at}</span></p>`}
    <p class="num" style=${{ textAlign: "left", whiteSpace: "normal" }}>${measured(alert.value, alert.unit) && html`Now <strong>${measured(alert.value, alert.unit)}</strong>, ${alert.threshold ? `wrong from ${measured(alert.threshold, alert.unit)}, ` : ""}worst ${measured(alert.worst, alert.unit)}.`} <span class="soft">Rule ${alert.rule}.${alert.comment ? ` “${alert.comment}”` : ""}</span></p>
    ${alert.fields?.length > 0 && html`<div><h3>Fields</h3><table class="cards"><thead><tr><th scope="col">Field</th><th scope="col">What was found</th><th scope="col">Slices</th></tr></thead>
      <tbody>${alert.fields.map((field) => html`<tr key=${field.field}><th scope="row"><a href=${fieldPlace(alert, field.field, alert.slices?.[0])}>${field.field}</a></th><td data-label="What was found" class="full">${field.finding}</td>
        <td data-label="Slices" class="full"><span class="chips">${(alert.slices?.length ? alert.slices : [""]).map((slice) => html`<${Chip} key=${slice} look="plain" href=${fieldPlace(alert, field.field, slice)}>${slice || "all requests"}</${Chip}>`)}</span></td></tr>`)}</tbody></table></div>`}
    ${reasons.length > 0 && html`<p><strong>Reasons:</strong> ${reasons.map(([reason, times]) => `${reason} ${times}`).join(", ")}</p>`}
    <${Requests} ids=${alert.request_ids} />
    ${alert.model && html`<p><a class="button" href=${link(["models", alert.model, ...(where(alert) ? [where(alert)] : [])], { version: alert.version || "", alert: alert.id })}>Show it on the model's page</a></p>`}
  </div>`;
}

// The requests that show what is wrong, by their ids.
export function Requests({ ids, requests = (ids || []).map((id) => ({ id })), title = "that show it", open = false }) {
  if (!requests.length) return null;
  const told = requests.some((each) => each.at);
  const valued = requests.some((each) => each.value);
  return html`<details class="alternative" open=${open}><summary>${requests.length === 1 ? "1 request" : `${requests.length} requests`} ${title}</summary>
    <div class="wide" tabindex="0"><table><thead><tr><th scope="col">Request's id</th>${told && html`<th scope="col">When</th><th scope="col">Slices</th><th scope="col">${valued ? "Value" : "Answer"}</th>`}<th scope="col"><span class="hidden-text">Copy</span></th></tr></thead>
      <tbody>${requests.map((each) => html`<tr key=${`${each.id} ${each.row || 0}`}><td class="mono">${each.id}${each.row ? html` <span class="soft">row ${each.row}</span>` : ""}</td>${told && html`<td><${Time} at=${each.at} /></td><td>${(each.slices || []).filter(Boolean).join(", ")}</td>
        <td>${valued ? each.value : each.answer}${each.confidence ? html` <span class="soft">${share(each.confidence, 3)}</span>` : ""}</td>`}<td class="num"><${Copy} text=${each.id} /></td></tr>`)}</tbody></table></div></details>`;
}

function Acknowledge({ alert, onClose, onDone }) {
  const [comment, set] = useState("");
  const act = () => post(`/api/v1/alerts/${segment(alert.id)}/acknowledge`, { comment });
  return html`<${Confirm} title="Say that you look after it" act="Acknowledge" change=${act} needsReason=${false} onClose=${onClose} onDone=${onDone}>
    <p>${alert.summary}</p><p class="hint">Nobody is told of it again until it is over.</p>
    <label class="field">Comment <small>If there is something to say.</small><input maxLength="1000" value=${comment} onInput=${(event) => set(event.currentTarget.value)} /></label></${Confirm}>`;
}

const HOURS = [[1, "1 hour"], [4, "4 hours"], [24, "1 day"], [168, "1 week"]];

function Silence({ alert, onClose, onDone }) {
  const [hours, set] = useState(4);
  const act = (reason) => post("/api/v1/silences", { model: alert.model || "", rule: alert.rule, version: alert.version || 0, replica: alert.replica || "", end_time: Date.now() / 1000 + hours * 3600, comment: reason });
  return html`<${Confirm} title="Keep it quiet for a time" act="Silence" change=${act} onClose=${onClose} onDone=${onDone}>
    <p>Nobody is told of <strong>${alert.rule}</strong>${alert.model ? html` for <strong>${alert.model}${alert.version ? ` v${alert.version}` : ""}</strong>` : ""}${alert.replica ? ` on ${alert.replica}` : ""}. It is still shown here.</p>
    <label class="field">For <select value=${hours} onChange=${(event) => set(Number(event.currentTarget.value))}>${HOURS.map(([value, text]) => html`<option key=${value} value=${value} selected=${value === hours}>${text}</option>`)}</select></label></${Confirm}>`;
}

// What a caller may do about alerts.
export function mayOf(me, rights) {
  const everywhere = me ? me.enforced === false || (me.may_everywhere || []).includes("admin") : false;
  return {
    silence: everywhere,
    acknowledge: (alert) => everywhere || Boolean(alert.may?.includes("route") || rights?.includes("route") || (me?.may_everywhere || []).includes("route")),
  };
}

export const filterState = (state) => change({ state: state === "open" ? "" : state });
