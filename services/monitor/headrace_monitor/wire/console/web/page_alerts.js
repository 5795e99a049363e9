// What is wrong now, and what was.
import { html } from "./vendor/preact.js";
import { address, usePoll } from "./api.js";
import { change, link } from "./route.js";
import { Empty, Problem, Segments, Skeleton, Time } from "./parts.js";
import { AlertTabs, Objectives, Rules } from "./page_rules.js";
import { Alert, filterState, mayOf } from "./alerts.js";

export const STATES = [["open", "Now"], ["firing", "Firing"], ["pending", "Pending"], ["resolved", "Over"]];

export default function Alerts({ place, me }) {
  const [, id] = place.parts;
  if (id === "objectives") return html`<${Objectives} />`;
  if (id === "rules") return html`<${Rules} />`;
  return id ? html`<${One} id=${id} me=${me} />` : html`<h1>Alerts</h1><${AlertTabs} here="" /><${AlertList} place=${place} me=${me} filters />`;
}

export function AlertList({ place, me, model = "", filters, rights }) {
  const state = place.params.get("state") || "open";
  const search = place.params.get("search") || "";
  const alerts = usePoll(address("/api/v1/alerts", { model, state: state === "open" ? "" : state }), 4);
  const words = search.toLowerCase();
  const found = (alerts.data?.alerts || []).filter((each) => !words || [each.summary, each.model, each.rule, each.replica, ...(each.fields || []).map((field) => field.field)].join(" ").toLowerCase().includes(words));
  const may = mayOf(me, rights);
  return html`<div class="bar"><${Segments} label="State" options=${STATES} value=${state} onChange=${filterState} />
      ${filters && html`<div class="grow" role="search"><input type="search" aria-label="Search models, rules, fields" placeholder="Search models, rules, fields" value=${search} onInput=${(event) => change({ search: event.currentTarget.value }, { replace: true })} /></div>`}</div>
    <${Problem} error=${alerts.error} old=${alerts.data && alerts.at} onRetry=${alerts.reload} />
    ${alerts.data?.stalled_time > 0 && html`<div class="note warn" role="status">Rules could not be evaluated since <${Time} at=${alerts.data.stalled_time} />: what is shown is from before.</div>`}
    ${alerts.loading ? html`<${Skeleton} height=${280} />` : html`<div class="stack" aria-live="polite">
      ${found.map((each) => html`<${Alert} key=${each.id} alert=${each} may=${may} onChanged=${alerts.reload} />`)}
      ${!found.length && !alerts.error && html`<div class="card"><${Empty} title=${state === "resolved" ? "Nothing is over" : search ? "No alert fits" : "All is well"}>
        <p>${state === "resolved" ? "Alerts that are over are kept here." : "No rule fires. Rules come with the monitor; your own are put in force by"}</p>${state !== "resolved" && html`<pre tabindex="0">headrace apply rules.toml</pre>`}</${Empty}></div>`}</div>`}
    ${filters && !alerts.loading && html`<${Silences} may=${may} />`}`;
}

function Silences({ may }) {
  const silences = usePoll(may.silence ? "/api/v1/silences" : "", 15);
  if (!silences.data?.silences?.length) return null;
  return html`<section class="card flush" aria-labelledby="silences"><header><h2 id="silences">Silences</h2></header><table class="cards"><thead><tr><th scope="col">Of</th><th scope="col">Until</th><th scope="col">Why</th><th scope="col">By</th></tr></thead>
    <tbody>${silences.data.silences.map((each) => html`<tr key=${each.id}><th scope="row">${[each.rule, each.model, each.version ? `v${each.version}` : "", each.replica].filter(Boolean).join(" · ")}</th><td data-label="Until"><${Time} at=${each.end_time} /></td><td data-label="Why">${each.comment}</td><td data-label="By">${each.creator}</td></tr>`)}</tbody></table></section>`;
}

function One({ id, me }) {
  const now = usePoll("/api/v1/alerts", 4);
  const open = now.data?.alerts?.find((each) => each.id === id);
  const over = usePoll(now.data && !open ? address("/api/v1/alerts", { state: "resolved" }) : "", 0);
  const alert = open || over.data?.alerts?.find((each) => each.id === id);
  return html`<p class="crumb"><a href=${link(["alerts"])}>Alerts</a></p><h1 class="hidden-text">Alert</h1>
    <${Problem} error=${now.error} old=${now.data && now.at} onRetry=${now.reload} />
    ${alert ? html`<${Alert} alert=${alert} may=${mayOf(me)} open alone onChanged=${now.reload} />` : now.loading || over.loading ? html`<${Skeleton} height=${320} />`
    : !now.error && html`<div class="card"><${Empty} title="There is no such alert"><p>It is over for long, or you may not see its model. <a href=${link(["alerts"])}>All alerts</a></p></${Empty}></div>`}`;
}
