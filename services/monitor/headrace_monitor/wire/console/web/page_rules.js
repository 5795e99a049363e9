// What is promised, how much of its budget is left, and the rules that are in force.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { link } from "./route.js";
import { count, length, millis, number, share } from "./format.js";
import { Chip, Code, Empty, Problem, Skeleton } from "./parts.js";

const TABS = [["", "Alerts"], ["objectives", "Objectives"], ["rules", "Rules"]];

export const AlertTabs = ({ here }) => html`<nav class="chips" aria-label="Alerts">${TABS.map(([key, title]) => html`
  <a key=${key} class="button" href=${link(["alerts", ...(key ? [key] : [])])} aria-current=${key === here ? "page" : undefined}>${title}</a>`)}</nav>`;

export function Objectives() {
  const asked = usePoll("/api/v1/objectives", 15);
  const found = asked.data?.objectives || [];
  return html`<h1>Objectives</h1><${AlertTabs} here="objectives" />
    <${Problem} error=${asked.error} old=${asked.data && asked.at} onRetry=${asked.reload} />
    ${asked.loading ? html`<${Skeleton} height=${280} />` : found.length ? html`<section class="card flush" aria-label="Objectives"><table class="cards">
      <thead><tr><th scope="col">Objective</th><th scope="col">Model</th><th scope="col" class="num">Good</th><th scope="col" class="num">Target</th><th scope="col">Budget left</th><th scope="col">Burns</th></tr></thead>
      <tbody>${found.map((each) => html`<${Objective} key=${`${each.rule} ${each.model} ${each.version}`} told=${each} />`)}</tbody></table></section>
      <p class="hint">The budget is the share of requests that may be bad. A burn of 1 uses it up in exactly its period; a rule fires where it burns too fast over a long and a short window at once.</p>`
    : !asked.error && html`<div class="card"><${Empty} title="No objective is set for a model that was called"><p>Say what you promise, in a file of rules:</p><${Code} code=${'[[rules]]\nname = "answers"\nkind = "objective"\ntarget = 0.999'} /><pre tabindex="0">headrace apply rules.toml</pre></${Empty}></div>`}`;
}

function Objective({ told }) {
  const left = Math.max(0, Math.min(1, told.budget_left));
  const text = told.budget_left < 0 ? `overdrawn by ${share(-told.budget_left)}` : share(told.budget_left);
  const known = told.covered && told.period && told.covered < told.period ? `, of which ${length(told.covered)} are known` : "";
  return html`<tr><th scope="row">${told.rule}${told.latency ? html`<span class="sub">within ${millis(told.latency * 1000)}</span>` : ""}</th>
    <td data-label="Model"><a href=${link(["models", told.model])}>${told.model}${told.version ? ` v${told.version}` : ""}</a></td>
    <td data-label="Good" class="num">${share(told.good_share, 4)}<span class="sub">${count(told.bad)} of ${count(told.requests)} bad</span></td>
    <td data-label="Target" class="num">${share(told.target, 4)}</td>
    <td data-label="Budget left" class="full"><meter min="0" max="1" low="0.1" optimum="1" value=${left} aria-label=${`Budget left of ${told.rule}, ${told.model}`}>${text}</meter> ${told.budget_left < 0 ? html`<${Chip} look="bad">✕ ${text}</${Chip}>` : text}<span class="sub">of ${length(told.period)}${known}</span></td>
    <td data-label="Burns" class="full"><span class="chips">${(told.burn_rates || []).toSorted((one, other) => one.window - other.window).map((burn) => html`<${Chip} key=${`${burn.window} ${burn.threshold}`} look=${burn.threshold && burn.rate >= burn.threshold ? "bad" : "plain"}>${burn.threshold && burn.rate >= burn.threshold ? "! " : ""}${number(burn.rate, 2)} over ${length(burn.window)}</${Chip}>`)}</span>
      ${told.incomplete?.length > 0 && html`<span class="sub">${told.incomplete.join("; ")}</span>`}</td></tr>`;
}

export function Rules() {
  const asked = usePoll("/api/v1/alerts/rules", 30);
  const rules = asked.data?.rules || [];
  const receivers = asked.data?.receivers || [];
  return html`<h1>Rules</h1><${AlertTabs} here="rules" />
    <${Problem} error=${asked.error} old=${asked.data && asked.at} onRetry=${asked.reload} />
    ${asked.loading ? html`<${Skeleton} height=${280} />` : html`<section class="card flush" aria-label="Rules"><table class="cards">
      <thead><tr><th scope="col">Rule</th><th scope="col">Kind</th><th scope="col">How soon</th><th scope="col">Models</th><th scope="col">Fires when</th><th scope="col">All of it</th></tr></thead>
      <tbody>${rules.map((each) => html`<tr key=${each.name}><th scope="row">${each.name}<span class="sub">${each.disabled ? "off" : each.shipped ? "shipped" : "of the file"}</span></th>
        <td data-label="Kind">${each.kind.replaceAll("_", " ")}</td><td data-label="How soon"><${Chip} look=${each.disabled ? "plain" : each.severity === "page" ? "bad" : each.severity === "ticket" ? "warn" : ""}>${each.disabled ? "off" : each.severity}</${Chip}></td>
        <td data-label="Models">${each.models?.length ? each.models.join(", ") : "all"}</td><td data-label="Fires when" class="full">${each.summary || "–"}${each.hold ? html`<span class="sub">for ${length(each.hold)}</span>` : ""}</td>
        <td data-label="All of it" class="full"><details><summary>TOML<span class="hidden-text"> of ${each.name}</span></summary><${Code} code=${each.toml} /></details></td></tr>`)}</tbody></table></section>
      ${receivers.length > 0 && html`<section class="card flush" aria-labelledby="receivers"><header><h2 id="receivers">Who is told</h2></header><table class="cards"><thead><tr><th scope="col">Receiver</th><th scope="col">Kind</th><th scope="col">Address</th><th scope="col" class="num">Taken</th><th scope="col" class="num">Failed</th><th scope="col" class="num">Dropped</th></tr></thead>
        <tbody>${receivers.map((each) => html`<tr key=${each.name}><th scope="row">${each.name}</th><td data-label="Kind">${each.kind}</td><td data-label="Address">${each.address || "–"}</td><td data-label="Taken" class="num">${count(each.delivered)}</td><td data-label="Failed" class="num">${count(each.failed)}</td><td data-label="Dropped" class="num">${count(each.dropped)}</td></tr>`)}</tbody></table></section>`}
      <p class="hint">${asked.data?.path ? `They are those of the file ${asked.data.path} that the monitor was started with.` : html`Rules are changed by <code>headrace apply rules.toml</code>.`}</p>`}`;
}
