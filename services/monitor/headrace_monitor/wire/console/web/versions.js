// Versions of a model and its route, as they are shown wherever they are named.
import { html } from "./vendor/preact.js";
import { number } from "./format.js";
import { link } from "./route.js";
import { Chip, State } from "./parts.js";
import { toneOf } from "./charts.js";

// A version has the same colour on every chart.
export const colourOf = (version) => toneOf(Number(version) - 1);

export const Dot = ({ version }) => html`<span class=${`dot c${(((Number(version) - 1) % 8) + 8) % 8}`} aria-hidden="true"></span>`;

export const percent = (value) => `${number(value)} %`;

export const weightsOf = (route) => Object.entries(route?.weights || {}).map(([version, weight]) => [Number(version), weight])
  .filter(([, weight]) => weight > 0).sort((one, other) => other[1] - one[1] || other[0] - one[0]);

// Where requests go, as a bar and in words.
export function Route({ route, bar = true }) {
  if (!route) return html`<span class="soft">no route</span>`;
  const weights = weightsOf(route);
  return html`<span class="tight">
    <span class="chips">${weights.map(([version, weight]) => html`<span key=${version} class="version-name num"><${Dot} version=${version} />v${version} <span class="soft">${percent(weight)}</span></span>`)}
      ${route.shadow && html`<span class="soft">shadow v${route.shadow.version} ${percent(route.shadow.share_percent)}</span>`}
      ${route.rules?.length ? html`<span class="soft" title=${route.rules.map((each) => `${each.rule} to v${each.version}`).join("; ")}>${route.rules.length} ${route.rules.length === 1 ? "rule" : "rules"}</span>` : ""}</span>
    ${bar && weights.length > 1 && html`<span class="split" aria-hidden="true">${weights.map(([version, weight]) => html`<i key=${version} class=${`c${(version - 1) % 8}`} style=${{ flexGrow: String(weight) }}></i>`)}</span>`}
  </span>`;
}

export const Aliases = ({ aliases }) => Object.entries(aliases || {}).map(([name, alias]) => html`<${Chip} key=${name} look="plain" title="alias">@${name} v${alias.version}</${Chip}>`);

export const reasonOf = (version) => (version.reasons || []).join("; ");

// Versions by their states; what is wrong with one is told in words.
export function VersionStates({ versions, more = 0, most = 6 }) {
  const shown = versions.slice(0, most);
  const hidden = versions.length - shown.length + more;
  const wrong = versions.filter((each) => each.state === "UNAVAILABLE");
  return html`<span class="tight"><span class="chips">${shown.map((each) => html`<${State} key=${each.number} state=${each.state} prefix=${`v${each.number}`} title=${[reasonOf(each), each.called === false ? "not called in the last minute" : ""].filter(Boolean).join(" · ")} />`)}
      ${hidden > 0 && html`<span class="soft">and ${hidden} more</span>`}</span>
    ${wrong.slice(0, 1).map((each) => reasonOf(each) && html`<span class="sub bad-text" key=${each.number}>v${each.number}: ${shortened(reasonOf(each))}</span>`)}</span>`;
}

const shortened = (text) => (text.length > 110 ? `${text.slice(0, 108)}…` : text);

// Signs that something needs a look, each a link to it.
export function Signs({ model }) {
  const found = [
    model.alerts?.firing && ["bad", `▲ ${model.alerts.firing} firing`, ["models", model.name, "alerts"]],
    model.alerts?.pending && ["warn", `◆ ${model.alerts.pending} pending`, ["models", model.name, "alerts"]],
    model.drift?.fields && ["warn", `≠ drift in ${model.drift.fields} ${model.drift.fields === 1 ? "field" : "fields"}`, ["models", model.name, "drift"]],
  ].filter(Boolean);
  if (!found.length) return html`<span class="soft">–</span>`;
  return html`<span class="chips">${found.map(([look, text, place]) => html`<${Chip} key=${text} look=${look} href=${link(place)}>${text}</${Chip}>`)}</span>`;
}

const LABEL = "headrace.retraining";
const LIVE_SECONDS = 900;

// The run that retrains a model now; null where none does, or its label was not renewed for long.
export function retraining(labels) {
  const [run, renewed] = (labels?.[LABEL] || "").split(" ");
  return run && Number(renewed) > Date.now() / 1000 - LIVE_SECONDS ? run : null;
}

export const otherLabels = (labels) => Object.entries(labels || {}).filter(([name]) => name !== LABEL);

export const Retraining = ({ labels }) => retraining(labels) && html`<${Chip} title="headrace retrain makes a new version of it now"><span class="sign" aria-hidden="true">◌</span>retraining: run ${retraining(labels)}</${Chip}>`;
