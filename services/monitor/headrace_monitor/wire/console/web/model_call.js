// What a model takes and gives, calls to copy, and a form to try it.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change } from "./route.js";
import { Chip, Code, Problem, Segments, Skeleton } from "./parts.js";
import { Chat } from "./try_chat.js";
import { TryForm } from "./try_form.js";
import { pathOf } from "./page_model.js";

export default function Call({ name, model, place }) {
  const asked = place.params.get("version") || "";
  const versions = model.versions.filter((each) => each.state !== "DELETED");
  const routed = model.route?.stable;
  const version = versions.find((each) => String(each.number) === asked) || versions.find((each) => each.number === routed) || versions[0];
  const calls = usePoll(version ? pathOf(name, "/calls", { version: asked }) : "", 0);
  if (!version) return html`<div class="card"><h2>Nothing to call yet</h2><p class="hint">Push a version first: <code>headrace push ${name} model.onnx</code></p></div>`;
  const example = calls.data?.example;
  const chats = version.language && (example?.messages || example?.prompt !== undefined);
  const may = (model.may || []).includes("infer");
  return html`<div class="bar"><label class="version-name"><span class="hint">Version</span> <select value=${asked} onChange=${(event) => change({ version: event.currentTarget.value })}>
      <option value="" selected=${!asked}>as the route decides</option>${versions.map((each) => html`<option key=${each.number} value=${each.number} selected=${String(each.number) === asked}>v${each.number}${each.state === "READY" ? "" : " (not ready)"}</option>`)}</select></label></div>
    <${Problem} error=${calls.error} onRetry=${calls.reload} />
    <div class="halves"><div class="stack">
      <section class="card" aria-labelledby="try-title"><header><h2 id="try-title">Try it</h2></header>
        ${!may ? html`<p class="hint">Calling it takes the permission <code>infer</code>, which you do not have.</p>`
    : calls.loading ? html`<${Skeleton} height=${260} />`
      : version.language && !chats ? html`<p class="hint">It takes texts and gives vectors or an order: copy a call.</p>` : chats ? html`<${Chat} key=${asked} name=${name} version=${asked} example=${calls.data?.example} />`
        : html`<${TryForm} key=${`${asked} ${version.number} ${Boolean(calls.data)}`} name=${name} version=${asked} signature=${version.signature} example=${calls.data?.example} />`}</section></div>
      <div class="stack"><section class="card" aria-labelledby="copy-title"><header><h2 id="copy-title">Call it from your program</h2></header>
        ${calls.loading ? html`<${Skeleton} height=${200} />` : calls.data && html`<${Snippets} calls=${calls.data} chosen=${place.params.get("with")} />`}</section>
      <${Signature} version=${version} /></div></div>`;
}

function Snippets({ calls, chosen }) {
  const shown = calls.calls.find((each) => each.title === chosen) || calls.calls[0];
  if (!shown) return html`<p class="hint">There are no examples for this kind of model.</p>`;
  return html`<div class="tight"><${Segments} label="Program" options=${calls.calls.map((each) => [each.title, each.title])} value=${shown.title} onChange=${(title) => change({ with: title }, { replace: true })} />
    <${Code} code=${shown.code} />${!calls.ready && html`<p class="hint warn-text">No replica serves it right now.</p>`}</div>`;
}

export const shapeOf = (tensor) => `[${(tensor.shape || []).map((size, index) => (size < 0 ? tensor.dims?.[index] || "any" : size)).join(", ")}]`;

function Signature({ version }) {
  const { inputs = [], outputs = [] } = version.signature || {};
  const rows = [...inputs.map((each) => ["input", each]), ...outputs.map((each) => ["output", each])];
  return html`<section class="card flush" aria-labelledby="signature"><header><h2 id="signature">Signature of v${version.number}</h2>${version.signed && html`<${Chip} look="good">✓ signed</${Chip}>`}</header>
    ${rows.length ? html`<table class="cards"><thead><tr><th scope="col">Name</th><th scope="col">Direction</th><th scope="col">Datatype</th><th scope="col">Shape</th></tr></thead>
      <tbody>${rows.map(([direction, each]) => html`<tr key=${`${direction} ${each.name}`}><th scope="row" class="mono">${each.name}</th><td data-label="Direction">${direction}${each.optional ? html` <span class="soft">optional</span>` : ""}</td><td data-label="Datatype">${each.datatype}</td><td data-label="Shape" class="mono">${shapeOf(each)}</td></tr>`)}</tbody></table>` : html`<p class="hint" style=${{ padding: "0 18px 16px" }}>It takes and gives text.</p>`}
    ${version.notices?.length > 0 && html`<p class="hint" style=${{ padding: "0 18px 14px" }}>${version.notices.join(" ")}</p>`}</section>`;
}
