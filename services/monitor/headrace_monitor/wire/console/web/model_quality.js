// How good answers were, by truth that came later, and by estimates where there is none.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change } from "./route.js";
import { count, length, number } from "./format.js";
import { Chip, Empty, Problem, Segments, Skeleton, Time } from "./parts.js";
import { Series } from "./charts.js";
import { colourOf } from "./versions.js";
import { pathOf } from "./page_model.js";

const DAYS = [[1, "1 day"], [7, "7 days"], [30, "30 days"]];

export default function Quality({ name, place }) {
  const { params } = place;
  const days = Number(params.get("days")) || 7;
  const slice = params.get("slice");
  const whole = usePoll(pathOf(name, "/quality", { window: days * 86400 }), 30);
  const steps = usePoll(pathOf(name, "/quality", { window: days * 86400, step: Math.max(600, days * 720) }), 60);
  const found = whole.data?.qualities || [];
  const slices = [...new Set(found.map((each) => each.slice || ""))].sort();
  const shown = found.filter((each) => (each.slice || "") === (slice || ""));
  return html`<div class="bar"><${Segments} label="Time range" options=${DAYS} value=${days} onChange=${(next) => change({ days: next })} />
      ${slices.length > 1 && html`<label class="version-name"><span class="hint">Slice</span> <select value=${slice || ""} onChange=${(event) => change({ slice: event.currentTarget.value })}>${slices.map((each) => html`<option key=${each} value=${each} selected=${each === (slice || "")}>${each || "all requests"}</option>`)}</select></label>`}
      <span class="hint grow">${whole.data?.sampled_share !== undefined ? `Answers of ${number(whole.data.sampled_share * 100)} % of the requests with an id are kept.` : ""}</span></div>
    <${Problem} error=${whole.error} old=${whole.data && whole.at} onRetry=${whole.reload} />
    ${whole.loading ? html`<${Skeleton} height=${320} />` : shown.length ? html`${shown.map((each) => html`<${Version} key=${each.version} quality=${each} />`)}<${OverTime} answer=${steps.data} slice=${slice || ""} />`
    : !whole.error && html`<div class="card"><${Empty} title="No answer was kept yet"><p>Send requests with an id, and tell the truth about them later by that id:</p><pre tabindex="0">headrace label ${name} --file labels.csv</pre></${Empty}></div>`}`;
}

const shortly = (value) => (Math.abs(value) <= 1 ? value.toFixed(3) : number(value, 4));

function Version({ quality }) {
  const figures = [...(quality.figures || []), ...(quality.estimates || []).map((each) => ({ ...each, estimated: true }))];
  const all = figures.filter((each) => !each.of);
  const classes = figures.filter((each) => each.of);
  return html`<section class="card flush" aria-label=${`Quality of v${quality.version}`}><header><h2><span class="version-name"><span class=${`dot c${(quality.version - 1) % 8}`} aria-hidden="true"></span>v${quality.version}</span></h2>
      <span class="hint">${count(quality.labelled)} of ${count(quality.predictions)} kept answers have their truth${quality.delay_seconds ? `, on the mean after ${length(quality.delay_seconds)}` : ""}</span></header>
    ${all.length ? html`<table class="cards"><caption class="hidden-text">Figures with intervals at 95 %</caption><thead><tr><th scope="col">Figure</th><th scope="col" class="num">Value</th><th scope="col" class="num">95 % interval</th><th scope="col" class="num">Rows</th><th scope="col">How it is known</th></tr></thead>
      <tbody>${all.map((each) => html`<${Figure} key=${`${each.name}${each.estimated}`} figure=${each} />`)}</tbody></table>` : html`<p class="hint" style=${{ padding: "0 18px 16px" }}>Nothing to tell yet. Give it the truth by the ids of requests: <code>headrace label NAME --file labels.csv</code>. From 30 labels on, answers without labels are estimated, too, where the model says how sure it is.</p>`}
    ${classes.length > 0 && html`<details class="alternative" style=${{ padding: "0 18px 14px" }}><summary>By class</summary><div class="wide" tabindex="0"><table><thead><tr><th scope="col">Class</th><th scope="col">Figure</th><th scope="col" class="num">Value</th><th scope="col" class="num">95 % interval</th><th scope="col" class="num">Rows</th></tr></thead>
      <tbody>${classes.map((each) => html`<tr key=${`${each.of}${each.name}${each.estimated}`}><td>${each.of}</td><td>${each.name}${each.estimated ? " (estimated)" : ""}</td><td class="num">${shortly(each.value)}</td><td class="num">${shortly(each.low)} to ${shortly(each.high)}</td><td class="num">${count(each.count)}</td></tr>`)}</tbody></table></div></details>`}
    ${quality.notes?.length > 0 && html`<p class="hint" style=${{ padding: "0 18px 14px" }}>${quality.notes.join(" ")}</p>`}</section>`;
}

function Figure({ figure }) {
  return html`<tr><th scope="row">${figure.name}</th><td data-label="Value" class="num"><strong>${shortly(figure.value)}</strong></td><td data-label="95 % interval" class="num">${shortly(figure.low)} to ${shortly(figure.high)}</td>
    <td data-label="Rows" class="num">${count(figure.count)}</td><td data-label="How it is known">${figure.estimated ? html`<${Chip} look="warn" title="from how sure the version was of its answers, without truth">≈ estimated</${Chip}>` : html`<${Chip} look="good">✓ by labels</${Chip}>`}</td></tr>`;
}

const MAIN = ["accuracy", "rmse", "mae"];

function OverTime({ answer, slice }) {
  const found = (answer?.qualities || []).filter((each) => (each.slice || "") === slice);
  const name = MAIN.find((each) => found.some((quality) => [...(quality.figures || []), ...(quality.estimates || [])].some((figure) => figure.name === each)));
  if (!name) return null;
  const times = [...new Set(found.map((each) => each.start))].sort((one, other) => one - other);
  const versions = [...new Set(found.map((each) => each.version))].sort((one, other) => other - one);
  const of = (version, kind, key) => times.map((at) => found.find((each) => each.version === version && each.start === at)?.[kind]?.find((figure) => figure.name === name && !figure.of)?.[key] ?? null);
  const series = versions.flatMap((version) => [
    { label: `v${version} by labels`, values: of(version, "figures", "value"), colour: colourOf(version) },
    { label: `v${version} lower end`, values: of(version, "figures", "low"), colour: colourOf(version), dash: [2, 5] },
    { label: `v${version} upper end`, values: of(version, "figures", "high"), colour: colourOf(version), dash: [2, 5] },
    { label: `v${version} estimated`, values: of(version, "estimates", "value"), colour: colourOf(version), dash: [8, 5] },
  ]).filter((each) => each.values.some((value) => value !== null));
  return html`<div class="card"><${Series} title=${`${name[0].toUpperCase()}${name.slice(1)} over time`} note="dotted: the 95 % interval; dashed: estimated" times=${times} series=${series} format=${shortly} floor=${null} height=${230} />
    <p class="hint">From <${Time} at=${times[0]} />.</p></div>`;
}
