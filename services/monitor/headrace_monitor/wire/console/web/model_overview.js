// What a model does: its versions side by side, and what they did over time.
import { html, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change } from "./route.js";
import { bytes, count, millis, missing, number, rate, share } from "./format.js";
import { Chip, Gaps, Problem, Segments, Skeleton, State, Time } from "./parts.js";
import { Heat, Series } from "./charts.js";
import { RangeBar, rangeOf, zoom } from "./ranges.js";
import { Dot, colourOf, percent, reasonOf } from "./versions.js";
import { pathOf } from "./page_model.js";

export default function Overview({ name, model, place }) {
  const range = rangeOf(place.params);
  const series = usePoll(pathOf(name, "/series", { window: range.seconds, step: range.step, end: range.end || "" }), range.every);
  const told = series.data || (series.error ? null : series.previous);
  return html`
    <${Versions} name=${name} model=${model} />
    <${Parts} versions=${model.versions} />
    <${RangeBar} range=${range} place=${html`<span class="hint with-mouse">Drag over a chart to look closer.</span>`} />
    <${Gaps} gaps=${told?.gaps} />
    <${Problem} error=${series.error} old=${series.data && series.at} onRetry=${series.reload} />
    ${told ? html`<${Charts} told=${told} place=${place} />` : !series.error && html`<div class="halves"><${Skeleton} height=${270} /><${Skeleton} height=${270} /></div>`}`;
}

const ROLES = { stable: "good", canary: "warn", shadow: "plain", previous: "plain", latest: "plain" };

function Versions({ name, model }) {
  const [all, more] = useState(false);
  const versions = all ? model.versions : model.versions.slice(0, 8);
  if (!model.versions.length) {
    return html`<section class="card"><h2>Versions</h2><p class="hint">None was pushed yet: <code>headrace push ${name} model.onnx</code></p></section>`;
  }
  const texts = model.versions.some((each) => each.statistics?.text);
  const costs = model.versions.some((each) => each.statistics?.cost);
  const fills = model.versions.some((each) => !missing(each.statistics?.batch_fill) && !each.statistics?.text);
  return html`<section class="card flush" aria-labelledby="versions-title"><header><h2 id="versions-title">Versions</h2><span class="hint">figures of the last minute</span></header>
    <table class="cards"><caption class="hidden-text">Versions of ${name} side by side</caption><thead><tr>
      <th scope="col">Version</th><th scope="col">State</th><th scope="col" class="num">Requests</th><th scope="col" class="num">Errors</th><th scope="col" class="num">p50</th><th scope="col" class="num">p99</th>
      <th scope="col" class="num">Queue p99</th><th scope="col" class="num">Batch</th>${fills && html`<th scope="col" class="num">Fill</th>`}
      ${texts && html`<th scope="col" class="num">Tokens</th><th scope="col" class="num">First token p99</th>`}${costs && html`<th scope="col" class="num">A request costs</th>`}<th scope="col">Pushed</th></tr></thead>
    <tbody>${versions.map((each) => html`<${Version} key=${each.number} version=${each} route=${model.route} texts=${texts} fills=${fills} costs=${costs} />`)}</tbody></table>
    ${model.versions.length > versions.length && html`<div class="pager"><span>${versions.length} of ${model.versions.length} versions</span><button type="button" onClick=${() => more(true)}>Show all</button></div>`}
  </section>`;
}

const LABELS = { reason: "Errors by reason", route: "By route", slice: "By slice", caller: "By caller" };

// Parts of the requests of the last minute, worst first; one route alone tells nothing new.
function Parts({ versions }) {
  const all = versions.flatMap((each) => (each.statistics?.parts || []).map((part) => ({ ...part, version: each.number })));
  const tables = Object.keys(LABELS).map((label) => [label, all.filter((part) => part.label === label && !(label === "reason" && !part.error_count))])
    .filter(([label, parts]) => parts.length > (label === "route" ? 1 : 0));
  const left = versions.reduce((sum, each) => sum + (each.statistics?.left_count || 0), 0);
  if (!tables.length && !left) return "";
  return html`<section class="card flush" aria-labelledby="parts-title"><header><h2 id="parts-title">Parts of the requests</h2><span class="hint">of the last minute${left ? `; ${count(left)} callers left before they were answered, who are no errors` : ""}</span></header>
    ${tables.map(([label, parts]) => html`<table class="cards" key=${label}><caption class="hidden-text">${LABELS[label]}</caption><thead><tr>
      <th scope="col">${LABELS[label]}</th><th scope="col">Version</th>${label !== "reason" && html`<th scope="col" class="num">Answered</th>`}<th scope="col" class="num">Errors</th><th scope="col" class="num">p50</th><th scope="col" class="num">p99</th></tr></thead>
      <tbody>${parts.toSorted((one, other) => other.error_count - one.error_count || other.success_count - one.success_count).slice(0, 20).map((part) => html`<tr key=${`${part.version} ${part.value}`}>
        <th scope="row">${part.value}</th><td data-label="Version"><${Dot} version=${part.version} />v${part.version}</td>${label !== "reason" && html`<td data-label="Answered" class="num">${count(part.success_count)}</td>`}
        <td data-label="Errors" class=${`num ${part.error_count ? "bad-text" : ""}`}>${count(part.error_count)}</td><td data-label="p50" class="num">${millis(part.p50_ms)}</td><td data-label="p99" class="num">${millis(part.p99_ms)}</td></tr>`)}</tbody></table>`)}
  </section>`;
}

function Version({ version, route, texts, fills, costs }) {
  const did = version.statistics || {};
  const errors = Object.entries(did.error_counts || {}).filter(([reason]) => reason !== "CANCELLED").sort((one, other) => other[1] - one[1]);
  const failed = errors.reduce((sum, [, times]) => sum + times, 0);
  const total = (did.success_count || 0) + failed;
  const weight = route?.weights?.[version.number];
  const problem = reasonOf(version);
  const holders = (version.replicas || []).filter((each) => each.state === "READY").length;
  return html`<tr>
    <th scope="row"><span class="version-name"><${Dot} version=${version.number} />v${version.number}</span>
      <span class="chips">${(version.roles || []).map((role) => html`<${Chip} key=${role} look=${ROLES[role] || "plain"}>${role}${weight && (role === "stable" || role === "canary") ? ` ${percent(weight)}` : ""}</${Chip}>`)}
        ${(version.aliases || []).map((alias) => html`<${Chip} key=${`@${alias}`} look="plain">@${alias}</${Chip}>`)}</span></th>
    <td data-label="State" class=${problem ? "full" : ""}><${State} state=${version.state} title=${problem} />${holders > 0 && html` <span class="soft">on ${holders}</span>`}
      ${problem && html`<span class=${`sub ${version.state === "UNAVAILABLE" ? "bad-text" : ""}`}>${problem}</span>`}</td>
    <td data-label="Requests" class="num">${total || did.left_count ? rate(did.requests_per_second) : html`<span class="soft">not called</span>`}</td>
    <td data-label="Errors" class=${`num ${failed ? "bad-text" : ""}`}>${total ? share(failed / total) : "–"}${errors.length > 0 && html`<span class="sub">${errors.slice(0, 2).map(([reason, times]) => `${reason} ${count(times)}`).join(", ")}</span>`}</td>
    <td data-label="p50" class="num">${did.success_count ? millis(did.p50_ms) : "–"}</td>
    <td data-label="p99" class="num">${did.success_count ? millis(did.p99_ms) : "–"}</td>
    <td data-label="Queue p99" class="num">${did.success_count ? millis(did.queue_p99_ms) : "–"}</td>
    <td data-label="Batch" class="num">${did.success_count && did.mean_batch_rows ? number(did.mean_batch_rows) : "–"}</td>
    ${fills && html`<td data-label="Fill" class="num">${did.text ? "–" : share(did.batch_fill)}</td>`}
    ${texts && html`<td data-label="Tokens" class="num">${did.text ? rate(did.text.tokens_per_second) : "–"}</td><td data-label="First token p99" class="num">${did.text ? millis(did.text.first_token_p99_ms) : "–"}</td>`}
    ${costs && html`<td data-label="A request costs" class="num"><${Cost} cost=${did.cost} /></td>`}
    <td data-label="Pushed"><${Time} at=${version.created_at} />${(version.pushed_by || version.size_bytes) && html`<span class="sub">${[version.pushed_by, version.size_bytes && bytes(version.size_bytes)].filter(Boolean).join(" · ")}</span>`}</td>
  </tr>`;
}

const SOURCES = { nvml: "measured by the GPU", rapl: "measured by the processor", model: "estimated from processor time" };

function Cost({ cost }) {
  if (!cost) return "–";
  const by = (cost.energy_by || []).map((each) => SOURCES[each] || each).join(", ");
  return html`${millis(cost.cpu_ms_per_request)}<span class="sub" title=${by}>${missing(cost.joules_per_request) ? "of a processor" : `${cost.energy_by.includes("model") ? "≈ " : ""}${number(cost.joules_per_request * 1000)} mJ`}</span>`;
}

// The changes of the registry, as lines on the charts.
export const marksOf = (changes) => (changes || []).slice(-12).map((each, index) => ({ at: each.at, sign: String(index + 1), change: each }));

function Charts({ told, place }) {
  const times = told.times;
  const versions = told.versions.toSorted((one, other) => other.version - one.version);
  const marks = marksOf(told.changes);
  const common = { times, marks, range: [told.start, told.end], onZoom: zoom };
  const by = (field, scale = (values) => values) => versions.filter((each) => each[field])
    .map((each) => ({ label: `v${each.version}`, values: scale(each[field]), colour: colourOf(each.version) }));
  const texts = versions.filter((each) => each.generated_tokens_per_second?.some((value) => !missing(value)));
  return html`
    <div class="halves">
      <div class="card"><${Series} ...${common} title="Requests" note="a second" series=${by("requests_per_second")} format=${number} /></div>
      <div class="card"><${Series} ...${common} title="Errors by reason" note="a second" series=${errorSeries(versions, told)} format=${number} /></div>
    </div>
    <${Latency} common=${common} versions=${versions} told=${told} place=${place} />
    <div class="halves">
      ${texts.length > 0 ? html`
        <div class="card"><${Series} ...${common} title="Tokens" note="a second" format=${number}
          series=${texts.flatMap((each) => [{ label: `v${each.version} generated`, values: each.generated_tokens_per_second, colour: colourOf(each.version) },
            { label: `v${each.version} of prompts`, values: each.prompt_tokens_per_second || [], colour: colourOf(each.version), dash: [5, 4] }])} /></div>
        <div class="card"><${Series} ...${common} title="Time to tokens" note="p99" format=${millis}
          series=${texts.flatMap((each) => [{ label: `v${each.version} first`, values: each.first_token_p99_ms || [], colour: colourOf(each.version) },
            { label: `v${each.version} between`, values: each.between_tokens_p99_ms || [], colour: colourOf(each.version), dash: [5, 4] }])} /></div>` : ""}
      <div class="card"><${Series} ...${common} title="Rows in a batch" note="mean" series=${by("mean_batch_rows")} format=${number} /></div>
      <div class="card"><${Series} ...${common} title="Waiting" note="p99 in the queue" series=${by("queue_p99_ms")} format=${millis} /></div>
    </div>
    ${marks.length > 0 && html`<section class="card" aria-label="Changes"><h2>Changes in this stretch of time</h2><${Changes} marks=${marks} /></section>`}`;
}

export const Changes = ({ marks }) => html`<ol class="tight" style=${{ paddingLeft: "1.6em", margin: "10px 0 0" }}>${marks.map(({ at, change: each }) => html`
  <li key=${each.revision}><${Time} at=${at} /> <strong>${each.kind}</strong> <span class="soft">${each.resource}${each.actor ? ` by ${each.actor}` : ""}</span>${each.reason ? ` “${each.reason}”` : ""}</li>`)}</ol>`;

function errorSeries(versions, told) {
  // the last step may not be over yet
  const lengths = told.times.map((at, index) => Math.max(1, (told.times[index + 1] ?? told.end) - at));
  const sums = new Map();
  for (const version of versions) {
    for (const [reason, values] of Object.entries(version.errors || {})) {
      const sum = sums.get(reason) || new Array(values.length).fill(0);
      values.forEach((value, index) => { sum[index] += (value || 0) / lengths[index]; });
      sums.set(reason, sum);
    }
  }
  const found = [...sums].toSorted((one, other) => total(other[1]) - total(one[1]));
  if (!found.length && versions.length) return [{ label: "none", values: versions[0].requests_per_second.map((value) => (missing(value) ? null : 0)), colour: "good" }];
  return found.slice(0, 8).map(([reason, values], index) => ({ label: reason, values, colour: `s${[3, 1, 2, 4, 5, 6, 0, 7][index]}` }));
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);

function Latency({ common, versions, told, place }) {
  const answered = versions.filter((each) => each.heat?.edges_ms?.length);
  const chosen = Number(place.params.get("version")) || busiest(answered);
  const shown = answered.find((each) => each.version === chosen);
  const lines = versions.flatMap((each) => [
    { label: `v${each.version} p99`, values: each.p99_ms || [], colour: colourOf(each.version) },
    { label: `v${each.version} p50`, values: each.p50_ms || [], colour: colourOf(each.version), dash: [5, 4] }]);
  return html`<div class="halves">
    <div class="card"><${Series} ...${common} title="Latency" note="p50 and p99 of answered requests" series=${lines} format=${millis} height=${250} /></div>
    <div class="card">
      ${answered.length > 1 && html`<div class="bar" style=${{ marginBottom: "8px" }}><span class="hint">Heat map of</span><${Segments} label="Version of the heat map" options=${answered.map((each) => [each.version, `v${each.version}`])} value=${shown?.version} onChange=${(version) => change({ version })} /></div>`}
      <${Heat} title=${`Latency, all requests${shown ? ` of v${shown.version}` : ""}`} times=${told.times} step=${told.step_seconds} edges=${shown?.heat.edges_ms || []} counts=${shown?.heat.counts || []} format=${millis} />
    </div></div>`;
}

const busiest = (versions) => versions.toSorted((one, other) => total(other.success_count || []) - total(one.success_count || []))[0]?.version;
