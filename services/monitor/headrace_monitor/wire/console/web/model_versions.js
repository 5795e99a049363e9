// What is said of a model's versions: metrics, tags, where they are from, and whether the gate lets them pass.
import { html, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { link } from "./route.js";
import { Chip, Empty, Problem, Skeleton, Time } from "./parts.js";
import { Dot, retraining } from "./versions.js";
import { pathOf } from "./page_model.js";
import { Tags, Value, dataOf, newest, reportsOf, versionLink } from "./annotations.js";
import { Gate, Verdict } from "./gates.js";
import { OneVersion } from "./model_version.js";
import { Compare, Pair } from "./model_compare.js";

const SHOWN_METRICS = 4;

export default function Versions({ name, model, place }) {
  const which = place.parts[3];
  const page = place.params.get("page") || "";
  const said = usePoll(which === "compare" ? "" : pathOf(name, "/annotations", { page: which ? "" : page }), 15);
  if (which === "compare") return html`<${Compare} name=${name} model=${model} place=${place} />`;
  if (said.error && !said.data) return html`<${Problem} error=${said.error} onRetry=${said.reload} />`;
  if (!said.data) return html`<${Skeleton} height=${520} />`;
  if (which) return html`<${OneVersion} key=${which} name=${name} model=${model} number=${Number(which)} told=${said.data} />`;
  return html`<${Problem} error=${said.error} old=${said.at} onRetry=${said.reload} />
    <${Table} name=${name} model=${model} told=${said.data} page=${page} />
    <${Gate} name=${name} gate=${said.data.gate} />`;
}

function Table({ name, model, told, page }) {
  const run = retraining(model.labels);
  if (!told.versions.length) return html`<section class="card"><${Empty} title="There is no version yet"><p><code>headrace push ${name} model.onnx</code></p></${Empty}></section>`;
  return html`<section class="card flush" aria-labelledby="said-title"><header><h2 id="said-title">What is said of versions</h2>
      <a class="button" href=${link(["versions"], { model: name })}>Find versions…</a></header>
    ${told.versions.length > 1 && html`<div class="inset"><${Pair} name=${name} numbers=${told.versions.map((each) => each.number)} first=${model.route?.stable} /></div>`}
    <table class="cards"><caption class="hidden-text">What is said of the versions of ${name}</caption><thead><tr><th scope="col">Version</th><th scope="col">Metrics of whole data</th><th scope="col">Tags</th><th scope="col">From</th>
      ${told.gate && html`<th scope="col">Gate</th>`}<th scope="col">Reports</th><th scope="col">Said</th></tr></thead>
    <tbody>${told.versions.map((each) => html`<${Row} key=${each.number} name=${name} said=${each} known=${model.versions.find((one) => one.number === each.number)} gate=${told.gate} run=${run} stable=${model.route?.stable} />`)}</tbody></table>
    ${(page || told.next) && html`<nav class="pager" aria-label="Pages"><span>${told.versions.length} versions</span><span class="bar">${page && html`<a class="button" href=${link(["models", name, "versions"])}>Newest</a>`}
      ${told.next && html`<a class="button" href=${link(["models", name, "versions"], { page: told.next })}>Older</a>`}</span></nav>`}
  </section>`;
}

function Row({ name, said, known, gate, run, stable }) {
  const isRun = run && said.tags.retraining_run === run;
  const description = said.description || known?.description;
  return html`<tr>
    <th scope="row"><span class="version-name"><${Dot} version=${said.number} />${versionLink(name, said.number)}</span>
      <span class="chips">${(known?.roles || []).map((role) => html`<${Chip} key=${role} look=${role === "stable" ? "good" : "plain"}>${role}</${Chip}>`)}${(known?.aliases || []).map((alias) => html`<${Chip} key=${`@${alias}`} look="plain">@${alias}</${Chip}>`)}</span>
      ${isRun && html`<span class="sub">made by the run that is under way</span>`}${description && html`<span class="sub">${description}</span>`}</th>
    <td data-label="Metrics of whole data" class="full"><${Metrics} metrics=${said.metrics} /></td>
    <td data-label="Tags" class="full">${Object.keys(said.tags).length ? html`<${Tags} tags=${said.tags} />` : html`<span class="soft">–</span>`}</td>
    <td data-label="From">${said.lineage ? html`${said.lineage.method || "made"}${said.lineage.parent_version ? html` of ${versionLink(name, said.lineage.parent_version)}` : ""}` : html`<span class="soft">–</span>`}</td>
    ${gate && html`<td data-label="Gate" class="full">${said.number === stable ? html`<span class="soft">stable</span>` : html`<${Verdict} verdict=${said.verdict} />`}</td>`}
    <td data-label="Reports">${reportsOf(said).length || html`<span class="soft">–</span>`}</td>
    <td data-label="Said"><${Time} at=${said.updated_at} /></td></tr>`;
}

const Line = ({ metric }) => html`<li><span class="soft">${metric.name}</span> <${Value} metric=${metric} />${dataOf(metric) && html` <span class="hint">${dataOf(metric)}</span>`}</li>`;

export function Metrics({ metrics }) {
  const whole = newest(metrics);
  const [all, more] = useState(false);
  if (!metrics.length) return html`<span class="soft">none</span>`;
  const shown = all ? whole : whole.slice(0, SHOWN_METRICS);
  const parts = metrics.length - whole.length;
  return html`<ul class="plain">${shown.map((each) => html`<${Line} key=${each.name} metric=${each} />`)}</ul>
    ${whole.length > shown.length && html`<button type="button" class="quiet" onClick=${() => more(true)}>${whole.length - shown.length} more</button>`}
    ${parts > 0 && html`<span class="sub">and ${parts} of slices or other data</span>`}`;
}
