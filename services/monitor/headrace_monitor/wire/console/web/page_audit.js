// Who changed what, newest first.
import { html, useEffect, useState } from "./vendor/preact.js";
import { address, ask, usePoll } from "./api.js";
import { change, link } from "./route.js";
import { Empty, Problem, Skeleton, Time } from "./parts.js";

export default function AuditPage({ place }) {
  return html`<h1>Audit</h1><${Audit} path="/api/v1/audit" place=${place} filters title="Changes" />`;
}

const modelOf = (resource) => /^models\/([^/]+)/.exec(resource || "")?.[1];

export function Audit({ path, place, filters, title }) {
  const { params } = place;
  const asked = filters ? { model: params.get("model") || "", actor: params.get("actor") || "", kind: params.get("kind") || "" } : {};
  const first = address(path, { ...asked, size: 100 });
  const audit = usePoll(first, 10);
  const [older, keep] = useState({ first, changes: [], next: null });
  const [problem, tell] = useState(null);
  useEffect(() => { keep({ first, changes: [], next: null }); tell(null); }, [first]);
  const own = older.first === first ? older : { changes: [], next: null };
  const known = new Set();
  const changes = [...(audit.data?.changes || []), ...own.changes].filter((each) => !known.has(each.revision) && known.add(each.revision));
  const next = own.next ?? audit.data?.next;
  async function more() {
    try {
      const answer = await ask(address(path, { ...asked, size: 100, page: next }));
      keep({ first, changes: [...own.changes, ...answer.changes], next: answer.next });
      tell(null);
    } catch (error) { tell(error); }
  }
  return html`<${Problem} error=${audit.error || problem} old=${audit.data && audit.at} onRetry=${audit.reload} />
    <section class="card flush" aria-label=${title}>
      ${filters && html`<header>${[["model", "Model"], ["actor", "By whom"], ["kind", "Kind, as route.update"]].map(([name, text]) => html`<input key=${name} type="search" class="grow" style=${{ flexBasis: "150px" }} aria-label=${text} placeholder=${text} value=${asked[name]}
        onChange=${(event) => change({ [name]: event.currentTarget.value.trim() })} />`)}</header>`}
      ${audit.loading ? html`<${Skeleton} height=${360} />` : changes.length ? html`<table class="cards"><caption class="hidden-text">${title}, newest first</caption>
        <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Of</th><th scope="col">By</th><th scope="col">Reason</th><th scope="col" class="num">Revision</th></tr></thead>
        <tbody>${changes.map((each) => html`<tr key=${each.revision}>
          <td data-label="When"><${Time} at=${each.at} /></td><th scope="row">${each.kind}</th>
          <td data-label="Of" class="full">${modelOf(each.resource) && filters ? html`<a href=${link(["models", modelOf(each.resource), "history"])}>${each.resource}</a>` : each.resource}${each.further?.length > 0 && html`<span class="sub">and ${each.further.join(", ")}</span>`}</td>
          <td data-label="By">${each.actor || "–"}${(each.proof || each.peer) && html`<span class="sub">${[each.proof, each.peer].filter(Boolean).join(" from ")}</span>`}</td>
          <td data-label="Reason">${each.reason || html`<span class="soft">–</span>`}</td><td data-label="Revision" class="num">${each.revision}</td></tr>`)}</tbody></table>`
        : !audit.error && html`<${Empty} title="Nothing was changed"><p>Changes of models, routes, aliases, keys and roles are listed here, with who made them and why.</p></${Empty}>`}
      ${next && html`<div class="pager"><span>${changes.length} changes</span><button type="button" onClick=${more}>Older ones</button></div>`}
    </section>`;
}
