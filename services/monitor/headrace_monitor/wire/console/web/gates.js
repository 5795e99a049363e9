// What a model's gate demands, and what it says of versions.
import { html } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { Chip, Code } from "./parts.js";
import { pathOf } from "./page_model.js";

export function Gate({ name, gate }) {
  if (!gate) {
    return html`<section class="card" aria-labelledby="gate-title"><header><h2 id="gate-title">Gate</h2></header><div class="tight">
      <p class="hint">None: any version may get callers. One says what must hold of a version's metrics before the route or an alias may lead to it:</p>
      <${Code} code=${`headrace gate ${name} --require 'accuracy >= 0.95' --no-worse-than accuracy:0.01`} /></div></section>`;
  }
  const rules = [...gate.require.map((text) => [text, "must hold"]), ...gate.no_worse_than.map((text) => [text, "no worse than"])];
  return html`<section class="card" aria-labelledby="gate-title"><header><h2 id="gate-title">Gate</h2><span class="hint">asked of each version before it gets callers</span></header>
    <ul class="plain tight">${rules.map(([text, word]) => html`<li key=${word + text}><span class="soft">${word}</span> <code>${text}</code></li>`)}</ul>
    <p class="hint">It guards the route and ${gate.aliases.length ? `the aliases ${gate.aliases.join(", ")}` : "all aliases"}${gate.data_digest ? html`; only metrics of the data <code>${gate.data_digest.slice(0, 12)}</code> count` : ""}.</p></section>`;
}

export function Verdict({ verdict, open }) {
  if (!verdict) return html`<span class="soft">–</span>`;
  const failed = verdict.results.filter((each) => !each.held).length;
  const chip = verdict.passed ? html`<${Chip} look="good"><span class="sign" aria-hidden="true">✓</span>passes</${Chip}>`
    : html`<${Chip} look="bad"><span class="sign" aria-hidden="true">✕</span>does not pass</${Chip}>`;
  if (open) return html`<div class="tight"><span>${chip}</span><${Results} results=${verdict.results} /></div>`;
  return html`${chip}<details class="alternative"><summary>${failed ? `${failed} of ${verdict.results.length} rules fail` : `${verdict.results.length} ${verdict.results.length === 1 ? "rule" : "rules"}`}</summary><${Results} results=${verdict.results} /></details>`;
}

const Results = ({ results }) => html`<ul class="plain tight">${results.map((each) => html`<li key=${each.rule}>
  <span class=${each.held ? "" : "bad-text"}>${each.held ? "✓ holds" : "✕ fails"}</span> <code>${each.rule}</code>${(each.held ? each.value : each.why) && html`<span class="hint"> ${each.held ? each.value : each.why}</span>`}</li>`)}</ul>`;

// A change was refused: the rules that do not hold, and a second step for whoever insists.
export function Insist({ name, version, allow, onAllow }) {
  const told = usePoll(pathOf(name, "/annotations", { version }), 0);
  const failed = (told.data?.versions[0]?.verdict?.results || []).filter((each) => !each.held);
  return html`<div class="note bad"><div class="tight grow"><strong>v${version} does not pass the gate of ${name}.</strong>
    ${failed.length > 0 && html`<${Results} results=${failed} />`}
    <span class="hint">Measure it anew: <code>headrace evaluate ${name}/${version} --data FILE --target COLUMN</code>. In a terminal one insists with <code>--allow-gate-failure</code>.</span>
    <label class="check"><input type="checkbox" checked=${allow} onChange=${(event) => onAllow(event.currentTarget.checked)} /> Give it callers although it does not pass; the audit notes who insisted (gate.override)</label></div></div>`;
}
