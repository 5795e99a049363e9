// Finds versions of all models by what is said of them.
import { html, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { bytes } from "./format.js";
import { change, link } from "./route.js";
import { Chip, Empty, Problem, Skeleton, Time } from "./parts.js";
import { ModelTabs } from "./page_models.js";
import { Tags, Value, search } from "./annotations.js";

const EXAMPLES = ["metrics.accuracy > 0.9 AND tags.team = vision", "alias = prod", "role = stable AND age > 30d", "lineage.method = retrain"];

export default function Versions({ place }) {
  const { params } = place;
  const asked = { filter: params.get("filter") || "", order_by: params.get("order_by") || "", model: params.get("model") || "", page: params.get("page") || "" };
  const found = usePoll(search({ ...asked, size: 50 }), 0);
  const isWrong = ["FILTER_INVALID", "ORDER_INVALID"].includes(found.error?.reason);
  return html`<h1>Versions</h1><${ModelTabs} here="versions" />
    <section class="card" aria-labelledby="find-title"><header><h2 id="find-title">Find versions${asked.model ? ` of ${asked.model}` : ""}</h2>
      ${asked.model && html`<button type="button" onClick=${() => change({ model: "", page: "" })}>Of all models</button>`}</header>
      <${Form} key=${`${asked.filter} ${asked.order_by}`} asked=${asked} error=${isWrong ? found.error : null} /></section>
    ${!isWrong && html`<${Problem} error=${found.error} onRetry=${found.reload} />`}
    ${found.data ? html`<${Table} told=${found.data} asked=${asked} />` : found.loading && html`<${Skeleton} height=${320} />`}`;
}

function Form({ asked, error }) {
  const [filter, type] = useState(asked.filter);
  const [order, setOrder] = useState(asked.order_by);
  const submit = (event) => { event.preventDefault(); change({ filter: filter.trim(), order_by: order.trim(), page: "" }); };
  return html`<form class="tight" role="search" onSubmit=${submit}>
    <label class="field">Condition <small>Fields, comparisons, AND, OR, NOT: as <code>headrace versions --filter</code> takes them. Nothing: all versions.</small>
      <input class="mono" value=${filter} maxLength="2048" spellcheck=${false} autocapitalize="off" autocomplete="off" aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? "filter-problem" : undefined} onInput=${(event) => type(event.currentTarget.value)} /></label>
    ${error && html`<${Wrong} error=${error} text=${asked.filter} />`}
    <div class="bar"><label class="field grow">Order <small>A field, with <code>desc</code> for large values first.</small><input class="mono" value=${order} maxLength="256" spellcheck=${false} placeholder="metrics.accuracy desc" onInput=${(event) => setOrder(event.currentTarget.value)} /></label>
      <button class="main">Find</button></div>
    <p class="hint">Such as ${EXAMPLES.map((each) => html`<button type="button" class="quiet example" key=${each} onClick=${() => change({ filter: each, page: "" })}><code>${each}</code></button>`)}</p></form>`;
}

// What is wrong, and where in the text.
function Wrong({ error, text }) {
  const column = Number(error.facts?.column) || 0;
  const inFilter = error.reason === "FILTER_INVALID" && column > 0 && !/^order_by/.test(error.message);
  return html`<div class="note bad" role="alert" id="filter-problem"><div class="tight grow"><strong>${error.message}</strong>
    ${inFilter && html`<code class="mono">${text.slice(0, column - 1)}<mark>${text.slice(column - 1, column) || " "}</mark>${text.slice(column)}</code>`}</div></div>`;
}

function Table({ told, asked }) {
  if (!told.versions.length) return html`<div class="card"><${Empty} title="No version fits"><p>The condition holds for none that you may see${asked.model ? ` of ${asked.model}` : ""}.</p></${Empty}></div>`;
  return html`<section class="card flush" aria-label="Versions found"><table class="cards"><caption class="hidden-text">Versions for which the condition holds</caption><thead><tr><th scope="col">Version</th>
      ${told.metrics.map((each) => html`<th scope="col" key=${each} class="num">${each}</th>`)}<th scope="col">Aliases</th><th scope="col">Tags</th><th scope="col" class="num">Size</th><th scope="col">Pushed</th></tr></thead>
    <tbody>${told.versions.map((each) => html`<tr key=${`${each.model} ${each.number}`}><th scope="row"><a href=${link(["models", each.model, "versions", each.number])}>${each.model}/${each.number}</a>${each.description && html`<span class="sub">${each.description}</span>`}</th>
      ${each.metrics.map((metric, index) => html`<td key=${told.metrics[index]} data-label=${told.metrics[index]} class="num">${metric ? html`<${Value} metric=${metric} />` : "–"}</td>`)}
      <td data-label="Aliases"><span class="chips">${each.aliases.map((alias) => html`<${Chip} key=${alias} look="plain">@${alias}</${Chip}>`)}</span></td><td data-label="Tags" class="full"><${Tags} tags=${each.tags} /></td>
      <td data-label="Size" class="num">${bytes(each.size_bytes)}</td><td data-label="Pushed"><${Time} at=${each.created_at} /></td></tr>`)}</tbody></table>
    ${(asked.page || told.next) && html`<nav class="pager" aria-label="Pages"><span>${told.versions.length} versions on this page</span><span class="bar">
      ${asked.page && html`<button type="button" onClick=${() => change({ page: "" })}>To the first</button>`}${told.next && html`<button type="button" onClick=${() => change({ page: told.next })}>Next</button>`}</span></nav>`}</section>`;
}
