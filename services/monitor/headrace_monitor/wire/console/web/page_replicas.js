// Replicas, what each holds, and how fresh what it reported is.
import { html, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { change, link } from "./route.js";
import { ago, bytes, count } from "./format.js";
import { CatalogNote, Empty, Problem, Skeleton, State, Time } from "./parts.js";

export default function Replicas({ place }) {
  const replicas = usePoll("/api/v1/replicas", 3);
  const search = (place.params.get("search") || "").toLowerCase();
  const fits = (replica) => !search || [replica.id, replica.grpc, replica.http, replica.stage, ...(replica.versions || []).map((each) => each.model)].join(" ").toLowerCase().includes(search);
  const found = (replicas.data?.replicas || []).filter(fits);
  const lost = (replicas.data?.lost || []).filter((each) => !search || each.id.toLowerCase().includes(search));
  return html`<h1>Replicas</h1>
    <${CatalogNote} catalog=${replicas.data?.catalog} /><${Problem} error=${replicas.error} old=${replicas.data && replicas.at} onRetry=${replicas.reload} />
    <section class="card flush" aria-label="Replicas"><header><div class="grow" role="search"><input type="search" aria-label="Search ids, addresses and models" placeholder="Search ids, addresses, models" value=${place.params.get("search") || ""} onInput=${(event) => change({ search: event.currentTarget.value }, { replace: true })} /></div></header>
    ${replicas.loading ? html`<${Skeleton} height=${320} />` : found.length || lost.length ? html`<table class="cards"><caption class="hidden-text">Replicas</caption>
      <thead><tr><th scope="col">Replica</th><th scope="col">Stage</th><th scope="col">Versions</th><th scope="col">Last report</th><th scope="col" class="num">Reports dropped</th><th scope="col" class="num">Clock</th><th scope="col">Addresses</th><th scope="col">Started</th></tr></thead>
      <tbody>${found.map((each) => html`<${Replica} key=${each.id} replica=${each} />`)}
        ${lost.map((each) => html`<tr key=${`lost ${each.id}`}><th scope="row">${each.id}</th><td data-label="Stage"><${State} state="LOST" /></td><td data-label="Versions">–</td><td data-label="Last report"><${Time} at=${each.last_report} /> <span class="soft">${ago(each.last_report)}</span></td>
          <td data-label="Reports dropped" class="num">–</td><td data-label="Clock" class="num">–</td><td data-label="Addresses">–</td><td data-label="Started">–</td></tr>`)}</tbody></table>`
      : !replicas.error && html`<${Empty} title=${search ? "No replica fits" : "No replica is there"}>${search ? html`<button type="button" onClick=${() => change({ search: "" })}>Show all</button>` : html`<p>Start one, and it joins by itself:</p><pre tabindex="0">python -m headrace_inference --redis-url redis://…</pre>`}</${Empty}>`}
    </section>`;
}

function Replica({ replica }) {
  const silent = replica.last_report && Date.now() / 1000 - replica.last_report > 6;
  const skewed = Math.abs(replica.clock_ahead || 0) >= 2;
  return html`<tr>
    <th scope="row">${replica.id}<span class="sub">${[(replica.devices || []).join(", "), ...Object.entries(replica.labels || {}).map(([name, value]) => `${name}=${value}`), replica.pid && `process ${replica.pid}`].filter(Boolean).join(" · ")}</span></th>
    <td data-label="Stage" class=${replica.problem ? "full" : ""}><${State} state=${replica.stage} />${replica.behind > 0 && html` <span class="warn-text">${replica.behind} revisions behind</span>`}${replica.problem && html`<span class="sub bad-text">${replica.problem}</span>`}</td>
    <td data-label="Versions" class="full"><${Held} versions=${replica.versions || []} /></td>
    <td data-label="Last report" class=${silent ? "bad-text" : ""}>${replica.last_report ? ago(replica.last_report) : html`<span class="soft">none yet</span>`}</td>
    <td data-label="Reports dropped" class=${`num ${replica.dropped_reports ? "bad-text" : ""}`}>${count(replica.dropped_reports || 0)}</td>
    <td data-label="Clock" class=${`num ${skewed ? "bad-text" : ""}`}>${skewed ? `${replica.clock_ahead.toFixed(1)} s ahead` : "right"}</td>
    <td data-label="Addresses"><span class="sub mono address">${replica.grpc}</span><span class="sub mono address">${replica.http}</span></td>
    <td data-label="Started"><${Time} at=${replica.started_at} /></td></tr>`;
}

function Held({ versions }) {
  const [open, set] = useState(false);
  const wrong = versions.filter((each) => each.state === "UNAVAILABLE");
  const memory = versions.reduce((sum, each) => sum + (each.memory_bytes || 0), 0);
  const ready = versions.filter((each) => each.state === "READY").length;
  const shown = open ? versions : wrong.slice(0, 3);
  return html`<span class="tight"><span>${versions.length === 0 ? html`<span class="soft">none</span>` : `${ready} ready`}${wrong.length > 0 && html`, <span class="bad-text">${wrong.length} failed</span>`}${memory > 0 && html` <span class="soft">${bytes(memory)}</span>`}
    ${versions.length > 0 && html` <button type="button" class="quiet" style=${{ minHeight: "24px", padding: "0 6px" }} aria-expanded=${open ? "true" : "false"} onClick=${() => set(!open)}>${open ? "Hide" : "Show"}</button>`}</span>
    ${shown.map((each) => html`<span class="sub" key=${`${each.model} ${each.version}`}><a href=${link(["models", each.model])}>${each.model}</a> v${each.version} <${State} state=${each.state} />${each.provider ? ` ${each.provider.replace("ExecutionProvider", "")}` : ""}${each.memory_bytes ? ` ${bytes(each.memory_bytes)}` : ""}${each.reason && html` <span class="bad-text">${each.reason}</span>`}</span>`)}</span>`;
}
