// Two versions of a model side by side, as `headrace diff` tells them.
import { html, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { bytes, missing, number } from "./format.js";
import { link } from "./route.js";
import { Chip, Empty, Problem, Skeleton } from "./parts.js";
import { Dot } from "./versions.js";
import { pathOf } from "./page_model.js";
import { Value, dataOf, digits, versionLink } from "./annotations.js";

// Chooses two versions to compare.
export function Pair({ name, numbers, first, second }) {
  const [one, setOne] = useState(first && numbers.includes(first) ? first : numbers[1]);
  const [other, setOther] = useState(second || numbers.find((each) => each !== one));
  const choices = (chosen) => numbers.map((each) => html`<option key=${each} value=${each} selected=${each === chosen}>v${each}</option>`);
  return html`<div class="bar"><label class="version-name"><span class="hint">Compare</span> <select value=${one} onChange=${(event) => setOne(Number(event.currentTarget.value))}>${choices(one)}</select></label>
    <label class="version-name"><span class="hint">with</span> <select value=${other} onChange=${(event) => setOther(Number(event.currentTarget.value))}>${choices(other)}</select></label>
    <a class="button" href=${link(["models", name, "versions", "compare"], { first: one, second: other })}>Side by side</a></div>`;
}

export function Compare({ name, model, place }) {
  const first = Number(place.params.get("first")) || 0;
  const second = Number(place.params.get("second")) || 0;
  const found = usePoll(first && second ? pathOf(name, "/compare", { first, second }) : "", 0);
  const numbers = [...new Set([...model.versions.filter((each) => each.state !== "DELETED").map((each) => each.number), first, second].filter(Boolean))].sort((one, other) => other - one);
  return html`<p class="crumb"><a href=${link(["models", name, "versions"])}>Versions</a></p>
    <section class="card" aria-labelledby="pair-title"><header><h2 id="pair-title">Two versions side by side</h2></header>
      ${numbers.length > 1 ? html`<${Pair} key=${`${first} ${second}`} name=${name} numbers=${numbers} first=${first} second=${second} />` : html`<p class="hint">There is only one version.</p>`}</section>
    <${Problem} error=${found.error} onRetry=${found.reload} />
    ${found.data ? html`<${Found} name=${name} told=${found.data} />` : found.loading && html`<${Skeleton} height=${420} />`}`;
}

const PARTS = [["config", "Serving"], ["lineage", "Where they are from"], ["tags", "Tags"], ["files", "Files"], ["reference", "Reference of the data"], ["description", "Description"]];

function Found({ name, told }) {
  const heads = html`<th scope="col">${versionLink(name, told.first)}</th><th scope="col">${versionLink(name, told.second)}</th>`;
  const [before, after] = told.size_bytes;
  return html`<p>${told.same_artifact ? "Both have the same files." : `${bytes(before)} became ${bytes(after)}${before ? `, ${after >= before ? "+" : ""}${number((after / before - 1) * 100)} %` : ""}.`}</p>
    <${Metrics} told=${told} heads=${heads} /><${Signatures} told=${told} />
    ${PARTS.filter(([key]) => told[key].length).map(([key, title]) => html`<section class="card flush" key=${key} aria-labelledby=${`part-${key}`}><header><h2 id=${`part-${key}`}>${title}</h2><span class="hint">what differs</span></header>
      <table class="cards"><caption class="hidden-text">${title}: what differs</caption><thead><tr><th scope="col">What</th>${heads}</tr></thead>
      <tbody>${told[key].map((each) => html`<tr key=${each.what}><th scope="row">${each.what}</th><td data-label=${`v${told.first}`} class="mono">${shown(each.first)}</td><td data-label=${`v${told.second}`} class="mono">${shown(each.second)}</td></tr>`)}</tbody></table></section>`)}`;
}

const shown = (text) => (!text ? html`<span class="soft">–</span>` : /^[0-9a-f]{64}$/.test(text) ? html`<span title=${text}>${text.slice(0, 12)}…</span>` : text);

function Metrics({ told, heads }) {
  if (!told.metrics.length) return html`<section class="card"><h2>Metrics</h2><p class="hint">Nothing was measured of either.</p></section>`;
  return html`<section class="card flush" aria-labelledby="compared-title"><header><h2 id="compared-title">Metrics</h2><span class="hint">compared on the same slice of the same data</span></header>
    <table class="cards"><caption class="hidden-text">Metrics of both versions</caption><thead><tr><th scope="col">Metric</th><th scope="col">Slice</th><th scope="col">Data</th>${heads}<th scope="col" class="num">Change</th></tr></thead>
    <tbody>${told.metrics.map((each) => html`<tr key=${`${each.name} ${each.slice} ${each.data_digest}`}><th scope="row">${each.name}</th><td data-label="Slice">${each.slice || html`<span class="soft">all</span>`}</td><td data-label="Data">${dataOf(each) || html`<span class="soft">–</span>`}</td>
      <td data-label=${`v${told.first}`}>${each.first ? html`<${Value} metric=${each.first} />` : html`<span class="soft">–</span>`}</td><td data-label=${`v${told.second}`}>${each.second ? html`<${Value} metric=${each.second} />` : html`<span class="soft">–</span>`}</td>
      <td data-label="Change" class="num">${missing(each.change) ? "–" : `${each.change > 0 ? "+" : ""}${digits(each.change)}`}${!missing(each.intervals_overlap) && html`<span class="sub">${each.intervals_overlap ? "intervals overlap" : "beyond the intervals"}</span>`}</td></tr>`)}</tbody></table></section>`;
}

const typeOf = (each) => `${each.datatype}[${each.shape ? each.shape.join(", ") : "…"}]${each.optional ? ", optional" : ""}`;

function Signatures({ told }) {
  const changed = told.signature.length > 0;
  return html`<section class="card" aria-labelledby="signatures-title"><header><h2 id="signatures-title">Signature</h2>${changed ? html`<${Chip} look="warn">≠ differs</${Chip}>` : html`<${Chip} look="good">= the same</${Chip}>`}</header>
    <div class="columns">${told.signatures.map((signature, index) => html`<div key=${index} class="tight"><h3 class="version-name"><${Dot} version=${index ? told.second : told.first} />v${index ? told.second : told.first}</h3>
      <dl class="facts">${["inputs", "outputs"].flatMap((side) => signature[side].map((each) => html`<div key=${side + each.name}><dt>${side === "inputs" ? "takes" : "gives"} ${each.name}</dt><dd class="mono">${differs(told, each.name) ? html`<strong class="warn-text">≠ ${typeOf(each)}</strong>` : typeOf(each)}</dd></div>`))}</dl></div>`)}</div></section>`;
}

const differs = (told, name) => told.signature.some((each) => [`input ${name}`, `optional input ${name}`, `output ${name}`].includes(each.what));
