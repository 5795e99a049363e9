// Where a model's requests go, how that was over time, and moving it.
import { html, useEffect, useState } from "./vendor/preact.js";
import { post, usePoll } from "./api.js";
import { change } from "./route.js";
import { Confirm, Empty, Problem, Skeleton, State, Time } from "./parts.js";
import { Series } from "./charts.js";
import { RangeBar, rangeOf, zoom } from "./ranges.js";
import { Dot, Route, colourOf, percent, weightsOf } from "./versions.js";
import { Changes, marksOf } from "./model_overview.js";
import { pathOf } from "./page_model.js";
import { Insist } from "./gates.js";

export default function RouteView({ name, model, place, reload }) {
  const range = rangeOf(place.params);
  const series = usePoll(pathOf(name, "/series", { window: range.seconds, step: range.step, end: range.end || "" }), range.every);
  const told = series.data || (series.error ? null : series.previous);
  return html`<${Now} name=${name} model=${model} reload=${reload} place=${place} />
    <${RangeBar} range=${range} />
    <${Problem} error=${series.error} old=${series.data && series.at} onRetry=${series.reload} />
    ${told ? html`<${Weights} told=${told} />` : !series.error && html`<${Skeleton} height=${300} />`}`;
}

function Now({ name, model, reload, place }) {
  const asked = place.params.get("do") || "";
  const [done, tell] = useState("");
  const may = (model.may || []).includes("route");
  const { route } = model;
  if (!route) return html`<section class="card"><${Empty} title="There is no route yet"><p>It is made with the first version: <code>headrace push ${name} model.onnx</code></p></${Empty}></section>`;
  const close = () => change({ do: "" }, { replace: true });
  const finish = (text) => () => { tell(text); close(); reload(); };
  return html`<section class="card" aria-labelledby="route-title"><header><h2 id="route-title">Route</h2>
      ${may ? html`<button type="button" onClick=${() => change({ do: "move" }, { replace: true })}>Move it…</button>
        <button type="button" disabled=${!route.previous} title=${route.previous ? "" : "there is no version before"} onClick=${() => change({ do: "rollback" }, { replace: true })}>Roll back…</button>`
      : html`<span class="hint">You may look; moving it takes the permission <code>route</code>.</span>`}</header>
    <p role="status" class=${done ? "note good" : "hidden-text"}>${done}</p>
    <div class="tight"><${Route} route=${route} />
      <dl class="key" style=${{ margin: 0 }}>${[["Stable", `v${route.stable}`], route.previous && ["Before", `v${route.previous}`], route.sticky_key && ["Callers stay by", route.sticky_key],
        route.shadow && ["Shadow", `v${route.shadow.version}, ${percent(route.shadow.share_percent)} of requests`], ["Moved", html`<${Time} at=${route.updated_at} />`]].filter(Boolean)
        .map(([term, value]) => html`<div key=${term} class="version-name"><dt>${term}</dt><dd style=${{ margin: 0, color: "var(--ink)" }}>${value}</dd></div>`)}</dl>
      ${route.rules?.length > 0 && html`<table class="cards"><thead><tr><th scope="col">Requests with</th><th scope="col">go to</th></tr></thead><tbody>${route.rules.map((each) => html`<tr key=${each.rule}><th scope="row" class="mono">${each.rule}</th><td data-label="go to">v${each.version}</td></tr>`)}</tbody></table>`}
    </div>
    ${may && asked === "move" && html`<${Move} name=${name} model=${model} onClose=${close} onDone=${finish("The route was moved.")} />`}
    ${may && asked === "rollback" && route.previous && html`<${Rollback} name=${name} model=${model} onClose=${close} onDone=${finish(`The route is back at v${route.previous}.`)} />`}
  </section>`;
}

const servable = (version) => version && version.state === "READY";

function Unready({ versions, numbers, allow, onAllow }) {
  const missing = numbers.map((number) => versions.find((each) => each.number === number)).filter((each) => each && !servable(each));
  if (!missing.length) return null;
  return html`<div class="note warn"><span class="grow">${missing.map((each) => html`<span key=${each.number}>v${each.number}: <${State} state=${each.state} /> </span>`)} Requests would fail until a replica has loaded it.</span>
    <label class="check"><input type="checkbox" checked=${allow} onChange=${(event) => onAllow(event.currentTarget.checked)} /> Move all the same</label></div>`;
}

function BeforeAfter({ before, after }) {
  const versions = [...new Set([...before, ...after].map(([version]) => version))].sort((one, other) => other - one);
  const of = (pairs, version) => pairs.find(([each]) => each === version)?.[1] || 0;
  return html`<div class="tight"><h3>What will change</h3><div class="before-after">${versions.map((version) => {
    const [was, will] = [of(before, version), of(after, version)];
    return html`<span key=${`${version}a`} class="version-name"><${Dot} version=${version} />v${version} ${percent(was)}</span><span class="arrow" aria-label="becomes">→</span>
      <span key=${`${version}b`}>${was === will ? html`<span class="soft">${percent(will)}, as before</span>` : html`<strong>${percent(will)}</strong>`}</span>`;
  })}</div></div>`;
}

function Rollback({ name, model, onClose, onDone }) {
  const { route } = model;
  const [allow, setAllow] = useState(false);
  const act = (reason) => post(pathOf(name, "/rollback"), { reason, etag: route.etag, allow_unready: allow });
  const version = model.versions.find((each) => each.number === route.previous);
  return html`<${Confirm} title=${`Roll ${name} back to v${route.previous}`} act=${`Roll back to v${route.previous}`} danger change=${act} onClose=${onClose} onDone=${onDone} ready=${allow || !version || servable(version)}>
    <${BeforeAfter} before=${weightsOf(route)} after=${[[route.previous, 100]]} />
    <${Unready} versions=${model.versions} numbers=${[route.previous]} allow=${allow} onAllow=${setAllow} />
  </${Confirm}>`;
}

function Move({ name, model, onClose, onDone }) {
  const { route, versions } = model;
  const [stable, setStable] = useState(route.stable);
  const [canaries, setCanaries] = useState(route.canaries || []);
  const [allow, setAllow] = useState(false);
  const [signature, setSignature] = useState(false);
  const [gated, setGated] = useState(null);
  const [insists, insist] = useState(false);
  const etag = useState(route.etag)[0];
  const rest = 100 - canaries.reduce((sum, each) => sum + (Number(each.weight_percent) || 0), 0);
  const used = [stable, ...canaries.map((each) => each.version)];
  const unready = used.some((number) => !servable(versions.find((each) => each.number === number)));
  const valid = rest > 0 - 1e-9 && new Set(used).size === used.length && canaries.every((each) => Number(each.weight_percent) > 0);
  const act = (reason) => post(pathOf(name, "/route"), {
    stable, canaries: canaries.map((each) => ({ version: each.version, weight_percent: Number(each.weight_percent) })),
    sticky_key: route.sticky_key || "", rules: route.rules || [], shadow: route.shadow || null, etag, reason, allow_signature_change: signature, allow_unready: allow, allow_gate_failure: Boolean(gated) && insists,
  });
  const asked = [stable, ...canaries.map((each) => each.version)].join();
  useEffect(() => { setGated(null); insist(false); }, [asked]);
  const refused = (error) => {
    if (error.reason !== "GATE_NOT_PASSED") return false;
    setGated(error.facts.version);
    insist(false);
    return true;
  };
  const set = (index, more) => setCanaries(canaries.map((each, at) => (at === index ? { ...each, ...more } : each)));
  const free = versions.find((each) => !used.includes(each.number) && servable(each)) || versions.find((each) => !used.includes(each.number));
  const choices = (value) => versions.filter((each) => each.state !== "DELETED").map((each) => html`<option key=${each.number} value=${each.number} selected=${each.number === value}>v${each.number}${servable(each) ? "" : ` (${each.state.toLowerCase().replace("_", " ")})`}</option>`);
  return html`<${Confirm} title=${`Move the route of ${name}`} act=${gated ? "Move it all the same" : "Move the route"} danger=${Boolean(gated)} change=${act} onClose=${onClose} onDone=${onDone} onProblem=${refused} ready=${valid && (allow || !unready) && (!gated || insists)}>
    <div class="bar"><label class="field grow">Stable version <select value=${stable} onChange=${(event) => setStable(Number(event.currentTarget.value))}>${choices(stable)}</select></label>
      <span><span class="hint">gets</span> <strong class="num">${percent(rest)}</strong></span></div>
    ${canaries.map((each, index) => html`<div class="bar" key=${index}><label class="field grow">Canary <select value=${each.version} onChange=${(event) => set(index, { version: Number(event.currentTarget.value) })}>${choices(each.version)}</select></label>
      <label class="field">Percent <input type="number" inputMode="decimal" min="0.01" max="100" step="any" style=${{ width: "7em" }} value=${each.weight_percent} onInput=${(event) => set(index, { weight_percent: event.currentTarget.value })} /></label>
      <button type="button" class="quiet" aria-label=${`Remove the canary v${each.version}`} onClick=${() => setCanaries(canaries.filter((_, at) => at !== index))}>Remove</button></div>`)}
    ${free && html`<div><button type="button" onClick=${() => setCanaries([...canaries, { version: free.number, weight_percent: 10 }])}>Add a canary</button></div>`}
    ${!valid && html`<p class="bad-text" role="alert">Each version may be there once, each canary needs more than 0 %, and all together at most 100 %.</p>`}
    <${BeforeAfter} before=${weightsOf(route)} after=${[[stable, rest], ...canaries.map((each) => [each.version, Number(each.weight_percent) || 0])]} />
    <${Unready} versions=${versions} numbers=${used} allow=${allow} onAllow=${setAllow} />
    <label class="check"><input type="checkbox" checked=${signature} onChange=${(event) => setSignature(event.currentTarget.checked)} /> Allow a signature that callers do not expect</label>
    ${gated && html`<${Insist} key=${gated} name=${name} version=${gated} allow=${insists} onAllow=${insist} />`}
    ${(route.rules?.length > 0 || route.shadow) && html`<p class="hint">Its rules and its shadow stay as they are.</p>`}
  </${Confirm}>`;
}

function Weights({ told }) {
  const numbers = [...new Set(told.weights.flatMap((each) => Object.keys(each.weights)))].map(Number).sort((one, other) => other - one);
  const marks = marksOf(told.changes);
  const inside = told.weights.filter((each) => each.at <= told.end);
  const times = [told.start, ...inside.map((each) => each.at).filter((at) => at > told.start), told.end];
  const at = (moment) => inside.filter((each) => each.at <= moment).at(-1)?.weights;
  const series = numbers.map((number) => ({
    label: `v${number}`, colour: colourOf(number), step: true, fill: true, values: times.map((moment) => (at(moment) ? at(moment)[number] || 0 : null)),
  }));
  return html`<section class="card"><${Series} title="Weights of the route" note="percent of requests; numbered lines are changes of the registry" times=${times} series=${series} marks=${marks}
      range=${[told.start, told.end]} format=${percent} top=${104} onZoom=${zoom} height=${240} />
    ${marks.length > 0 ? html`<${Changes} marks=${marks} />` : html`<p class="hint">Nothing was changed in this stretch of time.</p>`}</section>`;
}
