// One version: all that is said of it, its card, its reports and its files.
import { html, useEffect, useState } from "./vendor/preact.js";
import { ask, usePoll } from "./api.js";
import { bytes, count } from "./format.js";
import { link } from "./route.js";
import { Chip, Code, Empty, Problem, Skeleton, Time } from "./parts.js";
import { Dot } from "./versions.js";
import { pathOf } from "./page_model.js";
import { CARD, Opened, Tags, commandsOf, dataOf, fileOf, interval, reportsOf, value, versionLink } from "./annotations.js";
import { Verdict } from "./gates.js";
import { LONGEST, Markdown } from "./markdown.js";

// "told" has the newest versions; an older one is asked for.
export function OneVersion({ name, model, number, told }) {
  const found = told.versions.find((each) => each.number === number);
  const asked = usePoll(!found && number > 0 ? pathOf(name, "/annotations", { version: number }) : "", 15);
  const said = found || asked.data?.versions[0];
  if (!said && asked.loading) return html`<${Skeleton} height=${420} />`;
  if (!said) return html`<div class="card"><${Empty} title="There is no such version"><p>${asked.error?.message || ""} <a href=${link(["models", name, "versions"])}>All versions</a></p></${Empty}></div>`;
  const known = model.versions.find((each) => each.number === number);
  const card = said.attachments.find((each) => each.path === CARD);
  return html`<p class="crumb"><a href=${link(["models", name, "versions"])}>Versions</a></p>
    <${About} name=${name} said=${said} known=${known} gate=${told.gate} stable=${model.route?.stable} />
    <div class="halves"><${Reports} name=${name} said=${said} /><${Lineage} name=${name} said=${said} versions=${told.versions} /></div>
    <${Metrics} metrics=${said.metrics} />
    <${Card} name=${name} said=${said} card=${card} />
    <${Files} name=${name} said=${said} />`;
}

function About({ name, said, known, gate, stable }) {
  const description = said.description || known?.description;
  const others = stable && stable !== said.number;
  return html`<section class="card" aria-labelledby="version-title"><header><h2 id="version-title"><span class="version-name"><${Dot} version=${said.number} />Version ${said.number}</span></h2>
      <span class="chips">${(known?.roles || []).map((role) => html`<${Chip} key=${role} look=${role === "stable" ? "good" : "plain"}>${role}</${Chip}>`)}${(known?.aliases || []).map((alias) => html`<${Chip} key=${`@${alias}`} look="plain">@${alias}</${Chip}>`)}</span>
      ${others && html`<a class="button" href=${link(["models", name, "versions", "compare"], { first: stable, second: said.number })}>Compare with v${stable}</a>`}</header>
    <div class="tight">${description ? html`<p class="prose">${description}</p>` : html`<p class="hint">No description: <code>headrace annotate ${name}/${said.number} --description TEXT</code></p>`}
      ${Object.keys(said.tags).length > 0 && html`<${Tags} tags=${said.tags} />`}
      ${gate && said.number !== stable && html`<div><h3>Gate</h3><${Verdict} verdict=${said.verdict} open /></div>`}</div></section>`;
}

function Reports({ name, said }) {
  const found = reportsOf(said);
  const commands = Object.entries(commandsOf(name, said.number)).filter(([kind]) => !found.some(([each]) => each === kind));
  const WORDS = { evaluation: "No evaluation yet", explanation: "No explanation yet", optimisation: "Not optimised yet" };
  return html`<section class="card" aria-labelledby="reports-title"><header><h2 id="reports-title">Reports</h2></header><div class="tight">
    ${found.length > 0 && html`<ul>${found.map(([, title, path]) => html`<li key=${path}><${Opened} href=${fileOf(name, said.number, path)}>${title}</${Opened}></li>`)}</ul>`}
    ${commands.map(([kind, command]) => html`<div key=${kind}><p class="hint">${WORDS[kind]}:</p><${Code} code=${command} /></div>`)}</div></section>`;
}

function Lineage({ name, said, versions }) {
  const from = said.lineage;
  const chain = chainOf(said, versions);
  const facts = from ? [["Method", from.method], ["Command", from.command && html`<code>${from.command}</code>`], ["Source", from.source_revision && html`<code>${from.source_revision}</code>`],
    ["Data", from.data_digest && html`<code>${from.data_digest.slice(0, 16)}…</code>`], ["Training run", from.training_run], ...Object.entries(from.facts)].filter(([, each]) => each) : [];
  return html`<section class="card" aria-labelledby="lineage-title"><header><h2 id="lineage-title">Where it is from</h2></header>
    ${!from ? html`<p class="hint">Not known: <code>headrace annotate ${name}/${said.number} --method train --parent N</code></p>` : html`<div class="tight">
      ${chain.length > 1 && html`<ol class="chain" aria-label="Made of, the newest first">${chain.map(([number, method]) => html`<li key=${number}>${number === said.number ? html`<strong>v${number}</strong>` : versionLink(name, number)}${method && html` <span class="soft">${method}</span>`}</li>`)}</ol>`}
      <dl class="facts">${facts.map(([term, each]) => html`<div key=${term}><dt>${term}</dt><dd>${each}</dd></div>`)}</dl></div>`}</section>`;
}

// Of which it was made, of which that was made, as far as that is known here.
function chainOf(said, versions) {
  const chain = [];
  let here = said;
  while (here && chain.length < 20) {
    chain.push([here.number, here.lineage?.method || ""]);
    const parent = here.lineage?.parent_version;
    here = parent && parent < here.number ? versions.find((each) => each.number === parent) || { number: parent } : null;
  }
  return chain;
}

function Metrics({ metrics }) {
  if (!metrics.length) return html`<section class="card"><h2>Metrics</h2><p class="hint">Nothing was measured of it.</p></section>`;
  return html`<section class="card flush" aria-labelledby="metrics-title"><header><h2 id="metrics-title">Metrics</h2></header>
    <table class="cards"><caption class="hidden-text">Metrics, with what they are of</caption><thead><tr><th scope="col">Metric</th><th scope="col">Slice</th><th scope="col">Data</th><th scope="col" class="num">Value</th><th scope="col" class="num">Interval</th><th scope="col" class="num">Rows</th><th scope="col">Measured</th></tr></thead>
    <tbody>${metrics.map((each) => html`<tr key=${`${each.name} ${each.slice} ${each.data_digest}`}><th scope="row">${each.name}</th><td data-label="Slice">${each.slice || html`<span class="soft">all</span>`}</td><td data-label="Data" title=${each.data_digest}>${dataOf(each) || html`<span class="soft">–</span>`}</td>
      <td data-label="Value" class="num">${value(each)}</td><td data-label="Interval" class="num">${interval(each) || "–"}${interval(each) && each.confidence && html`<span class="sub">${Math.round(each.confidence * 1000) / 10} %</span>`}</td>
      <td data-label="Rows" class="num">${count(each.rows)}</td><td data-label="Measured"><${Time} at=${each.measured_at} /></td></tr>`)}</tbody></table></section>`;
}

const PICTURES = ["image/png"];

function Card({ name, said, card }) {
  const [text, read] = useState(null);
  const [error, tell] = useState(null);
  const digest = card?.sha256;
  useEffect(() => {
    if (!card) return undefined;
    const control = new AbortController();
    ask(fileOf(name, said.number, CARD), { signal: control.signal, text: true }).then((found) => { read(found); tell(null); }, (problem) => { if (!control.signal.aborted) tell(problem); });
    return () => control.abort();
  }, [name, said.number, digest]);
  const places = (path) => {
    const file = said.attachments.find((each) => each.path === path.replace(/^\.\//, ""));
    return file ? { href: fileOf(name, said.number, file.path), image: PICTURES.includes(file.media_type) } : null;
  };
  return html`<section class="card" aria-labelledby="card-title"><header><h2 id="card-title">Model card</h2>${card && html`<${Opened} href=${fileOf(name, said.number, CARD)}>As text</${Opened}>`}</header>
    <${Problem} error=${error} />
    ${!card ? html`<div class="tight"><p class="hint">None is attached. A draft is made of what is known, for you to complete:</p><${Code} code=${`headrace card ${name}/${said.number} --draft > card.md\nheadrace annotate ${name}/${said.number} --card card.md`} /></div>`
    : text === null ? !error && html`<${Skeleton} height=${200} />` : html`<${Markdown} text=${text} places=${places} />${text.length > LONGEST && html`<p class="note warn">It is longer than what is shown here.</p>`}`}</section>`;
}

function Files({ name, said }) {
  if (!said.attachments.length) return "";
  return html`<section class="card flush" aria-labelledby="files-title"><header><h2 id="files-title">Files</h2><span class="hint">as their authors made them; they are shown where they can do nothing</span></header>
    <table class="cards"><caption class="hidden-text">Files that belong to version ${said.number}</caption><thead><tr><th scope="col">File</th><th scope="col">Kind</th><th scope="col" class="num">Size</th><th scope="col">Attached</th><th scope="col">Save</th></tr></thead>
    <tbody>${said.attachments.map((each) => html`<tr key=${each.path}><th scope="row"><${Opened} href=${fileOf(name, said.number, each.path)} title=${each.sha256}>${each.path}</${Opened}></th><td data-label="Kind">${each.media_type}</td><td data-label="Size" class="num">${bytes(each.size_bytes)}</td>
      <td data-label="Attached"><${Time} at=${each.created_at} /></td><td><a class="button" href=${fileOf(name, said.number, each.path, { save: "true" })} download aria-label=${`Save ${each.path}`}>Save</a></td></tr>`)}</tbody></table></section>`;
}
