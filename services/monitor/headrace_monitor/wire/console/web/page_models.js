// Every model at a glance.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { address, usePoll } from "./api.js";
import { change, link } from "./route.js";
import { count, millis, number, rate, share } from "./format.js";
import { CatalogNote, Empty, Figures, Gaps, Pager, Problem, Skeleton } from "./parts.js";
import { Spark } from "./charts.js";
import { Aliases, Retraining, Route, Signs, VersionStates, otherLabels } from "./versions.js";

const SORTS = [
  ["name", "Name"], ["-problems", "Problems first"], ["-rate", "Busiest first"], ["-errors", "Most errors first"], ["-p99", "Slowest first"], ["-created", "Newest first"],
];

export default function Models({ place, overview }) {
  const { params } = place;
  const page = Math.max(1, Number(params.get("page")) || 1);
  const search = params.get("search") || "";
  const sort = params.get("sort") || "name";
  const path = address("/api/v1/models", { search, page: page === 1 ? "" : page, sort: sort === "name" ? "" : sort, size: 50 });
  const models = usePoll(path, 5);
  const shown = models.data || (models.error ? null : models.previous);
  const names = (shown?.models || []).map((each) => each.name).join(",");
  const rates = usePoll(names ? address("/api/v1/rates", { models: names }) : "", 15);
  const told = (rates.data || rates.previous)?.models || {};
  return html`
    <h1>Models</h1><${ModelTabs} here="" />
    <${Summary} overview=${overview.data} />
    <${Gaps} gaps=${overview.data?.gaps} />
    <${CatalogNote} catalog=${models.data?.catalog} />
    <${Problem} error=${models.error} old=${models.data && models.at} onRetry=${models.reload} />
    <section class="card flush" aria-label="Models" aria-busy=${models.loading ? "true" : "false"}>
      <header><${Search} value=${search} />
        <label class="version-name"><span class="hint">Sorted by</span> <select value=${sort} onChange=${(event) => change({ sort: event.currentTarget.value, page: "" })}>
          ${SORTS.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === sort}>${text}</option>`)}</select></label></header>
      ${shown ? html`<${Table} answer=${shown} rates=${told} search=${search} />` : !models.error && html`<${Skeleton} height=${420} />`}
      ${shown && shown.total > 0 && html`<${Pager} page=${shown.page} pages=${shown.pages} total=${shown.total} noun=${shown.total === 1 ? "model" : "models"} onPage=${(next) => change({ page: next === 1 ? "" : next })} />`}
    </section>`;
}

export const ModelTabs = ({ here }) => html`<nav class="chips" aria-label="Models and versions">${[["", "Models", ["models"]], ["versions", "Find versions", ["versions"]]].map(([key, title, place]) => html`
  <a key=${key} class="button" href=${link(place)} aria-current=${key === here ? "page" : undefined}>${title}</a>`)}</nav>`;

function Summary({ overview }) {
  const versions = overview?.versions || {};
  const failed = versions.UNAVAILABLE || 0;
  const errors = overview?.errors_per_second;
  return html`<${Figures} items=${[
    ["Models", count(overview?.models)],
    ["Versions ready", count(versions.READY), "", overview && failed ? html`<span class="bad-text">${failed} failed</span>` : ""],
    ["Replicas ready", count(overview?.replicas?.READY)],
    ["Requests", rate(overview?.requests_per_second)],
    ["Errors", rate(errors), errors > 0 ? "bad-text" : ""],
    ["Alerts firing", count(overview?.alerts?.firing), overview?.alerts?.firing ? "bad-text" : ""],
  ]} />`;
}

function Search({ value }) {
  const [text, type] = useState(value);
  const timer = useRef(0);
  useEffect(() => { type(value); }, [value]);
  function typed(event) {
    const next = event.currentTarget.value;
    type(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change({ search: next, page: "" }, { replace: true }), 200);
  }
  return html`<div class="grow" role="search"><input type="search" aria-label="Search names, aliases, labels and descriptions" placeholder="Search names, aliases, labels" value=${text} onInput=${typed} /></div>`;
}

function Table({ answer, rates, search }) {
  if (!answer.models.length) return html`<${Nothing} search=${search} />`;
  return html`<table class="cards"><caption class="hidden-text">Models, with figures of the last ${Math.round(answer.window_seconds)} seconds</caption>
    <thead><tr><th scope="col">Model</th><th scope="col">Route</th><th scope="col">Versions</th><th scope="col" class="num">Requests</th><th scope="col">Lately</th>
      <th scope="col" class="num">Errors</th><th scope="col" class="num">p99</th><th scope="col">Signs</th></tr></thead>
    <tbody>${answer.models.map((model) => html`<${Row} key=${model.name} model=${model} values=${rates[model.name] || []} />`)}</tbody></table>`;
}

function Row({ model, values }) {
  const labels = otherLabels(model.labels).map(([name, value]) => (value ? `${name}=${value}` : name));
  return html`<tr>
    <th scope="row"><a href=${link(["models", model.name])}>${model.name}</a> <${Retraining} labels=${model.labels} />
      ${(model.description || labels.length > 0) && html`<span class="sub">${[model.description, ...labels].filter(Boolean).join(" · ")}</span>`}</th>
    <td data-label="Route" class="full"><${Route} route=${model.route} /><span class="chips"><${Aliases} aliases=${model.aliases} /></span></td>
    <td data-label="Versions" class="full">${model.versions.length ? html`<${VersionStates} versions=${model.versions} more=${model.more_versions} />` : html`<span class="soft">none yet</span>`}</td>
    <td data-label="Requests" class="num">${rate(model.requests_per_second)}</td>
    <td data-label="Lately"><${Spark} values=${values} label=${`Requests a second in the last 15 minutes, at most ${number(Math.max(0, ...values))}`} /></td>
    <td data-label="Errors" class=${`num ${model.error_share > 0 ? "bad-text" : ""}`}>${model.requests_per_second > 0 || model.errors_per_second > 0 ? share(model.error_share) : "–"}</td>
    <td data-label="p99" class="num">${millis(model.p99_ms)}</td>
    <td data-label="Signs"><${Signs} model=${model} /></td>
  </tr>`;
}

function Nothing({ search }) {
  if (search) {
    return html`<${Empty} title="No model fits"><p>Nothing has “${search}” in its name, aliases, labels or description.</p>
      <button type="button" onClick=${() => change({ search: "", page: "" })}>Show all models</button></${Empty}>`;
  }
  return html`<${Empty} title="There is no model yet"><p>Push one; it is listed here at once, and served as soon as a replica has loaded it.</p><pre tabindex="0">headrace push digits model.onnx</pre></${Empty}>`;
}
