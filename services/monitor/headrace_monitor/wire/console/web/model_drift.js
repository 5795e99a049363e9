// How a model's data moved: field by field, with both distributions, and what is off about them.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change, link, parse } from "./route.js";
import { ago, count, number } from "./format.js";
import { Chip, Empty, Problem, Segments, Skeleton, Time } from "./parts.js";
import { Requests } from "./alerts.js";
import { Compared } from "./distributions.js";
import { pathOf } from "./page_model.js";

const CONCERNS = { distribution: "other values", missing: "missing", infinite: "infinite", out_of_range: "out of range", new_category: "new categories" };
const SOURCES = { registered: "the reference kept with the version", first_rows: "the version's own first rows", other_version: "the first rows of an older version" };

export default function Drift({ name, model, place }) {
  const { params } = place;
  const slice = params.get("slice") || "";
  const drift = usePoll(pathOf(name, "/drift", { slice }), 10);
  const told = drift.data || (drift.error ? null : drift.previous);
  const versions = told?.versions || [];
  const asked = Number(params.get("version")) || versions.find((each) => off(each).length)?.version || model.route?.stable;
  const version = versions.find((each) => each.version === asked) || versions[0];
  if (!told && drift.loading) return html`<${Skeleton} height=${420} />`;
  return html`<${Problem} error=${drift.error} old=${drift.data && drift.at} onRetry=${drift.reload} />
    ${version ? html`<${Version} name=${name} version=${version} versions=${versions} slice=${slice} params=${params} />` : !drift.error && html`<${Nothing} name=${name} slice=${slice} />`}`;
}

function Nothing({ name, slice }) {
  if (slice) return html`<div class="card"><${Empty} title="No rows of this slice were looked at"><button type="button" onClick=${() => change({ slice: "" })}>Show all requests</button></${Empty}></div>`;
  return html`<div class="card"><${Empty} title="Nothing is known of its data yet"><p>Replicas look at samples of the rows that they are asked. The version's first rows become the reference; or keep one with the version:</p><pre tabindex="0">headrace reference set ${name} --samples rows.csv</pre></${Empty}></div>`;
}

const numbered = new Intl.Collator("en", { numeric: true });
const percent = (row) => Math.round((row.evidence_share || 0) * 100);
// Fields that are off stay first, as the monitor tells them; of the others column 2 is before column 10.
const inOrder = (fields) => [...fields.filter((each) => each.findings.length),
  ...fields.filter((each) => !each.findings.length).toSorted((one, other) => percent(other) - percent(one) || numbered.compare(one.field, other.field))];

const off = (version) => version.fields.filter((each) => each.findings.length);

function Version({ name, version, versions, slice, params }) {
  const field = params.get("field") || "";
  const slices = ["", ...new Set([...version.slices, slice].filter(Boolean))];
  const shown = version.fields.filter((each) => each.field === field);
  return html`<div class="bar">
      ${versions.length > 1 && html`<${Segments} label="Version" options=${versions.map((each) => [each.version, `v${each.version}${off(each).length ? " ≠" : ""}`])} value=${version.version} onChange=${(next) => change({ version: next, field: "" })} />`}
      ${slices.length > 1 && html`<label class="version-name"><span class="hint">Slice</span> <select value=${slice} onChange=${(event) => change({ slice: event.currentTarget.value })}>${slices.map((each) => html`<option key=${each} value=${each} selected=${each === slice}>${each || "all requests"}</option>`)}</select></label>`}
      <span class="hint grow">${about(version)}</span></div>
    ${version.untested && html`<div class="note warn">There is no memory to compare it: raise the monitor's setting drift_memory_mb.</div>`}
    <${Causes} causes=${version.causes.filter((each) => !field || each.field === field)} />
    ${field && html`<${Field} key=${`${version.version}|${field}|${slice}`} name=${name} version=${version.version} field=${field} slice=${slice} found=${shown} alert=${params.get("alert")} />`}
    <section class="card flush" aria-label="Fields">
      ${version.fields.length ? html`<table class="cards"><caption class="hidden-text">Fields of v${version.version}, those that are off first</caption><thead><tr><th scope="col">Field</th><th scope="col">Verdict</th><th scope="col">What changed</th><th scope="col" class="num">PSI</th><th scope="col" class="num">JS</th><th scope="col" class="num">KS</th><th scope="col" class="num">Moved by</th><th scope="col" class="num">Evidence</th><th scope="col" class="num">Rows</th></tr></thead>
        <tbody>${inOrder(version.fields).map((each) => html`<${Row} key=${`${each.field} ${each.aspect}`} row=${each} active=${each.field === field} />`)}</tbody></table>`
      : html`<${Empty} title="Its first rows are looked at"><p>${version.learnt_rows ? `${count(version.learnt_rows)} rows so far. Later rows are compared with them, from 10,000 rows and 10 minutes on unless set otherwise. A reference of samples is compared with at once:` : "It is looked at as soon as it is called. With a reference of samples it is compared at once:"} <code>headrace reference set ${name}/${version.version} --samples rows.csv</code></p><p></p></${Empty}>`}
    </section>
    ${version.closed.length > 0 && html`<section class="card" aria-labelledby="closed"><h2 id="closed">What is over</h2><ul class="tight">${version.closed.map((each) => html`<li key=${`${each.field}${each.since_time}`}><strong>${each.field}</strong> ${each.change} <span class="soft">from <${Time} at=${each.since_time} /> to <${Time} at=${each.closed_time} /></span></li>`)}</ul></section>`}
    <p class="hint">PSI: 0.1 is little, 0.25 much. JS: Jensen-Shannon distance, 0 to 1. KS: the largest difference of cumulated shares. Moved by: Wasserstein distance in standard deviations of the reference. Evidence: 100 % makes a finding; chance does that less than once in a hundred days, for all fields together.</p>`;
}

// In which slices fields moved, and in which they did not.
function Causes({ causes }) {
  if (!causes.length) return null;
  return html`<div class="note warn"><ul class="plain">${causes.map((cause) => html`<li key=${cause.field}><strong>${cause.field}</strong> moved in ${cause.moved.map((each, at) => html`${at ? ", " : ""}<a key=${each} href=${to({ field: cause.field, slice: each })}>${each || "all requests"}</a>`)}${cause.unmoved.length ? `; not in ${cause.unmoved.map((each) => each || "all requests").join(", ")}` : ""}</li>`)}</ul></div>`;
}

// The same view with other parameters.
function to(params) {
  const here = parse(location.hash);
  return link(here.parts, { ...Object.fromEntries(here.params), ...params });
}

function about(version) {
  if (!version.source) return `Its first rows are becoming the reference${version.learnt_rows ? `: ${count(version.learnt_rows)} so far` : ""}.`;
  return `Compared with ${SOURCES[version.source] || version.source}${version.origin ? ` (${version.origin})` : ""}; ${count(version.compared_rows)} rows so far.`;
}

const effect = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
const nameOf = (row) => (row.aspect && row.aspect !== "value" ? `${row.field} ${row.aspect}` : row.field);

function Row({ row, active }) {
  const first = row.findings[0];
  const { effects = {}, rows } = first || row;
  return html`<tr>
    <th scope="row"><a href=${to({ field: row.field })} aria-current=${active ? "true" : undefined}>${nameOf(row)}</a></th>
    <td data-label="Verdict">${first ? html`<span class="chips">${[...new Set(row.findings.map((each) => each.concern))].map((concern) => html`<${Chip} key=${concern} look="warn">≠ ${CONCERNS[concern] || concern}</${Chip}>`)}</span>` : rows ? html`<${Chip} look="good">✓ as before</${Chip}>` : html`<span class="soft">no rows yet</span>`}</td>
    <td data-label="What changed" class=${first ? "full" : ""}>${first ? html`${row.findings.map((each) => each.change).filter(Boolean).join("; ")}<span class="sub">since <${Time} at=${first.since_time} /></span>` : html`<span class="soft">${row.change || "–"}</span>`}</td>
    <td data-label="PSI" class="num">${effect(effects.psi)}</td><td data-label="JS" class="num">${effect(effects.jensen_shannon)}</td><td data-label="KS" class="num">${effect(effects.ks)}</td>
    <td data-label="Moved by" class="num">${effects.wasserstein === null || effects.wasserstein === undefined ? "–" : `${number(effects.wasserstein)} σ`}</td>
    <td data-label="Evidence" class="num">${first ? "found" : `${percent(row)} %`}</td><td data-label="Rows" class="num">${count(rows)}</td></tr>`;
}

const STRETCHES = [[300, "5 min"], [3600, "1 h"], [86400, "1 day"]];

function Field({ name, version, field, slice, found, alert }) {
  const stretch = Number(parse(location.hash).params.get("stretch")) || 3600;
  const drawn = usePoll(pathOf(name, "/drift", { version, field, slice, stretch, distributions: "true" }), 10);
  const alerts = usePoll(alert ? "/api/v1/alerts" : "", 0);
  const ids = alerts.data?.alerts?.find((each) => each.id === alert)?.request_ids;
  const findings = found.flatMap((each) => each.findings);
  const finding = findings.toSorted((one, other) => one.since_time - other.since_time)[0];
  const since = finding ? Math.floor(finding.since_time) : 0;
  const recent = usePoll(finding && !ids?.length ? pathOf(name, "/requests", { version, slice, since }) : "", 15);
  const told = drawn.data || (drawn.error ? null : drawn.previous);
  const aspects = (told?.versions?.[0]?.fields || []).filter((each) => each.field === field && each.distributions);
  const shown = aspects.flatMap((each) => each.examples || []).map((each) => ({ ...each, id: each.request_id, at: each.time }));
  return html`<section class="card stack" aria-label=${field}>
    <div class="bar"><h2 class="grow">${field}</h2><${Chip} look="plain">${slice || "all requests"}</${Chip}>
      <${Segments} label="The newest rows" options=${STRETCHES} value=${stretch} onChange=${(next) => change({ stretch: next }, { replace: true })} />
      <button type="button" class="quiet" onClick=${() => change({ field: "", alert: "" })}>Close</button></div>
    ${finding && html`<p class="note warn"><span><strong>${findings.map((each) => each.change || CONCERNS[each.concern]).join("; ")}</strong> since <${Time} at=${finding.since_time} /> (${ago(finding.since_time)}), found <${Time} at=${finding.found_time} />.</span></p>`}
    <${Problem} error=${drawn.error} old=${drawn.data && drawn.at} onRetry=${drawn.reload} />
    ${!told && drawn.loading ? html`<${Skeleton} height=${280} />` : aspects.length ? html`<div class=${aspects.length > 1 ? "halves" : "stack"}>${aspects.map((each) => html`<${Compared} key=${each.aspect} row=${each} />`)}</div>` : !drawn.error && html`<p class="hint">There are not yet rows to compare.</p>`}
    ${shown.length ? html`<${Requests} requests=${shown} open=${true} />` : ids?.length ? html`<${Requests} ids=${ids} />` : html`<${Requests} requests=${recent.data?.requests} title=${slice ? "of this slice since it began" : "since it began"} />`}
  </section>`;
}
