// How a model's data moved: field by field, with both distributions, and what is off about them.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change, link } from "./route.js";
import { ago, count, number, share } from "./format.js";
import { Chip, Empty, Problem, Segments, Skeleton, Time } from "./parts.js";
import { Distributions } from "./charts.js";
import { Requests } from "./alerts.js";
import { pathOf } from "./page_model.js";

const CONCERNS = { distribution: "other values", missing: "missing", infinite: "infinite", out_of_range: "out of range", new_category: "new categories" };
const SOURCES = { registered: "the reference kept with the version", first_rows: "the version's own first rows", other_version: "the first rows of an older version" };

export default function Drift({ name, model, place }) {
  const { params } = place;
  const drift = usePoll(pathOf(name, "/drift"), 10);
  const versions = drift.data?.versions || [];
  const asked = Number(params.get("version")) || versions.find((each) => open(each).length)?.version || model.route?.stable;
  const version = versions.find((each) => each.version === asked) || versions[0];
  const slice = params.get("slice") || "";
  if (drift.loading) return html`<${Skeleton} height=${420} />`;
  return html`<${Problem} error=${drift.error} old=${drift.data && drift.at} onRetry=${drift.reload} />
    ${version ? html`<${Version} name=${name} version=${version} versions=${versions} slice=${slice} params=${params} />`
    : !drift.error && html`<div class="card"><${Empty} title="Nothing is known of its data yet"><p>Replicas look at samples of what they are asked. The first hour, or 10,000 rows, become the reference, unless one was given at the push:</p><pre>headrace push ${name} model.onnx --reference samples.csv</pre></${Empty}></div>`}`;
}

const open = (version, slice) => (version.findings || []).filter((each) => !each.closed_at && (slice === undefined || (each.slice || "") === slice));

function Version({ name, version, versions, slice, params }) {
  const field = params.get("field") || "";
  const findings = open(version, slice);
  const slices = ["", ...(version.slices || []).filter(Boolean)];
  const fields = (version.fields || []).filter((each) => (each.slice || "") === slice);
  const rows = fields.map((each) => ({ ...each, findings: findings.filter((one) => one.field === each.field) }));
  for (const one of findings) if (!rows.some((each) => each.field === one.field)) rows.push({ field: one.field, effects: one.effects, findings: findings.filter((other) => other.field === one.field) });
  rows.sort((one, other) => (other.findings.length > 0) - (one.findings.length > 0) || (other.effects?.psi || 0) - (one.effects?.psi || 0));
  const shown = rows.find((each) => each.field === field);
  return html`<div class="bar">
      ${versions.length > 1 && html`<${Segments} label="Version" options=${versions.map((each) => [each.version, `v${each.version}${open(each).length ? " ≠" : ""}`])} value=${version.version} onChange=${(next) => change({ version: next, field: "" })} />`}
      ${slices.length > 1 && html`<label class="version-name"><span class="hint">Slice</span> <select value=${slice} onChange=${(event) => change({ slice: event.currentTarget.value })}>${slices.map((each) => html`<option key=${each} value=${each} selected=${each === slice}>${each || "all requests"}${open(version, each).length ? " ≠" : ""}</option>`)}</select></label>`}
      <span class="hint grow">${about(version)}</span></div>
    ${version.multivariate?.drifted && html`<div class="note warn">All fields together moved: ${version.multivariate.text}</div>`}
    ${(version.causes || []).map((cause) => html`<div class="note warn" key=${cause.field}><span><strong>${cause.field}</strong> moved in ${told(cause.moved)}${cause.unmoved?.length ? `, not in ${told(cause.unmoved)}` : ""}.</span></div>`)}
    ${field && html`<${Field} key=${`${version.version}|${field}|${slice}`} name=${name} version=${version.version} field=${field} slice=${slice} found=${shown} alert=${params.get("alert")} />`}
    <section class="card flush" aria-label="Fields">
      ${rows.length ? html`<table class="cards"><caption class="hidden-text">Fields of v${version.version}, those that moved first</caption><thead><tr><th scope="col">Field</th><th scope="col">Verdict</th><th scope="col">What changed</th><th scope="col" class="num">PSI</th><th scope="col" class="num">JS</th><th scope="col" class="num">KS</th><th scope="col" class="num">Moved by</th><th scope="col" class="num">Missing</th></tr></thead>
        <tbody>${rows.map((each) => html`<${Row} key=${each.field} row=${each} active=${each.field === field} />`)}</tbody></table>`
      : html`<${Empty} title="No field was looked at yet"><p>${version.rows ? `${count(version.rows)} rows were seen so far.` : "It is looked at as soon as it is called."}</p></${Empty}>`}
    </section>
    <p class="hint">PSI: 0.1 is little, 0.25 much. JS: Jensen-Shannon distance, 0 to 1. KS: the largest difference of cumulated shares. Moved by: Wasserstein distance in standard deviations of the reference.</p>`;
}

const told = (slices) => slices.map((each) => each || "all requests").join(", ");

function about(version) {
  const reference = version.reference;
  if (!reference) return "Its first rows are becoming the reference.";
  const kept = reference.rows ? `${count(reference.rows)} rows` : "";
  return `Compared with ${SOURCES[reference.source] || reference.source}${kept ? `, ${kept}` : ""}${version.rows ? `; now ${count(version.rows)} rows` : ""}.`;
}

function Row({ row, active }) {
  const effects = row.effects || {};
  const first = row.findings[0];
  return html`<tr>
    <th scope="row"><a href=${link(location.hash.replace(/^#\/|\?.*$/g, "").split("/").map(decodeURIComponent), { ...Object.fromEntries(new URLSearchParams(location.hash.split("?")[1])), field: row.field })} aria-current=${active ? "true" : undefined}>${row.field}</a>${row.kind && html`<span class="sub">${row.kind}</span>`}</th>
    <td data-label="Verdict">${first ? html`<span class="chips">${[...new Set(row.findings.map((each) => each.concern))].map((concern) => html`<${Chip} key=${concern} look="warn">≠ ${CONCERNS[concern] || concern}</${Chip}>`)}</span>` : html`<${Chip} look="good">✓ as before</${Chip}>`}</td>
    <td data-label="What changed" class=${first ? "full" : ""}>${first ? html`${row.findings.map((each) => each.change).filter(Boolean).join("; ")}<span class="sub">since <${Time} at=${first.since} /></span>` : "–"}</td>
    <td data-label="PSI" class="num">${effect(effects.psi)}</td><td data-label="JS" class="num">${effect(effects.jensen_shannon)}</td><td data-label="KS" class="num">${effect(effects.ks)}</td>
    <td data-label="Moved by" class="num">${effects.wasserstein === null || effects.wasserstein === undefined ? "–" : `${number(effects.wasserstein)} σ`}</td><td data-label="Missing" class="num">${share(row.missing_share)}</td></tr>`;
}

const effect = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

function Field({ name, version, field, slice, found, alert }) {
  const profiles = usePoll(pathOf(name, "/profiles", { version, field, slice }), 10);
  const requests = usePoll(alert ? "/api/v1/alerts" : "", 0);
  const ids = requests.data?.alerts?.find((each) => each.id === alert)?.request_ids;
  const aspects = (profiles.data?.aspects || profiles.data?.fields || []).filter((each) => !each.field || each.field === field);
  const finding = found?.findings?.[0];
  return html`<section class="card stack" aria-label=${field}>
    <div class="bar"><h2 class="grow">${field}</h2><span class="chips"><${Chip} look="plain">${slice || "all requests"}</${Chip}></span><button type="button" class="quiet" onClick=${() => change({ field: "", alert: "" })}>Close</button></div>
    ${finding && html`<p class="note warn"><span><strong>${finding.change || CONCERNS[finding.concern]}</strong> since <${Time} at=${finding.since} /> (${ago(finding.since)}); found after ${count(finding.rows)} rows.</span></p>`}
    <${Problem} error=${profiles.error} old=${profiles.data && profiles.at} onRetry=${profiles.reload} />
    ${profiles.loading ? html`<${Skeleton} height=${270} />` : aspects.length ? html`<div class=${aspects.length > 1 ? "halves" : "stack"}>${aspects.map((each) => html`<${Aspect} key=${each.aspect} aspect=${each} data=${profiles.data} />`)}</div>` : !profiles.error && html`<p class="hint">No rows were profiled in this stretch of time.</p>`}
    <${Requests} ids=${ids} />
  </section>`;
}

function Aspect({ aspect, data }) {
  const sets = [aspect.reference && { name: `Reference${aspect.reference_rows ? ` (${count(aspect.reference_rows)} rows)` : ""}`, values: aspect.reference, colour: "s7" },
    aspect.now && { name: `Now${aspect.rows || data.rows ? ` (${count(aspect.rows || data.rows)} rows)` : ""}`, values: aspect.now, colour: "s1" }].filter(Boolean);
  return html`<${Distributions} title=${aspect.aspect === "value" ? "Values" : aspect.aspect} note="share of rows" labels=${aspect.labels} sets=${sets} />`;
}
