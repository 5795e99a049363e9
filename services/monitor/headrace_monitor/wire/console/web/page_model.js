// One model: what it is, where it is routed, and a tab for each question about it.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { address, segment, usePoll } from "./api.js";
import { link } from "./route.js";
import { Aliases, Retraining, Route, Signs } from "./versions.js";
import { CatalogNote, Chip, Empty, Problem, Skeleton } from "./parts.js";

const TABS = {
  overview: ["Overview", () => import("./model_overview.js")],
  versions: ["Versions", () => import("./model_versions.js")],
  route: ["Route", () => import("./model_route.js")],
  drift: ["Drift", () => import("./model_drift.js")],
  quality: ["Quality", () => import("./model_quality.js")],
  alerts: ["Alerts", () => import("./model_alerts.js")],
  call: ["Call it", () => import("./model_call.js")],
  history: ["History", () => import("./model_history.js")],
};

export const pathOf = (name, rest = "", params = {}) => address(`/api/v1/models/${segment(name)}${rest}`, params);

export default function Model({ place, me, overview }) {
  const name = place.parts[1];
  const tab = TABS[place.parts[2]] ? place.parts[2] : "overview";
  const model = usePoll(pathOf(name), 4);
  const [shown, show] = useState({ tab: null });
  useEffect(() => {
    TABS[tab][1]().then((module) => show({ tab, Body: module.default }), () => show({ tab, failed: true }));
  }, [tab]);
  const tabs = useRef(null);
  useEffect(() => {
    const current = tabs.current?.querySelector("[aria-current]");
    if (current) tabs.current.scrollLeft = current.offsetLeft - tabs.current.clientWidth / 2 + current.clientWidth / 2;
  }, [tab]);
  if (model.error?.status === 404) {
    return html`<h1>${name}</h1><div class="card"><${Empty} title="There is no such model"><p>It was deleted, or you may not see it. <a href=${link(["models"])}>All models</a></p></${Empty}></div>`;
  }
  // the tabs lie below what the model's answer fills: they come with it, and then stay where they are
  if (!model.data) {
    return html`<div class="tight"><p class="crumb"><a href=${link(["models"])}>Models</a></p><h1>${name}</h1></div>
      ${model.error ? html`<${Problem} error=${model.error} onRetry=${model.reload} />` : html`<${Skeleton} height=${640} />`}`;
  }
  return html`
    <${Head} name=${name} model=${model.data} />
    <${CatalogNote} catalog=${model.data?.catalog} />
    <${Problem} error=${model.error} old=${model.data && model.at} onRetry=${model.reload} />
    <nav class="tabs" ref=${tabs} aria-label=${`Views of ${name}`}>${Object.entries(TABS).map(([key, [title]]) => html`
      <a key=${key} href=${link(["models", name, ...(key === "overview" ? [] : [key])])} aria-current=${key === tab ? "page" : undefined}>${title}
        ${key === "alerts" && model.data?.alerts?.firing ? html`<span class="count" aria-label=${`${model.data.alerts.firing} firing`}>${model.data.alerts.firing}</span>` : ""}</a>`)}</nav>
    ${shown.tab !== tab ? html`<${Skeleton} height=${520} />`
      : shown.failed ? html`<div class="note bad" role="alert">This view could not be loaded. <button type="button" onClick=${() => location.reload()}>Load the page again</button></div>`
        : html`<${shown.Body} key=${tab} name=${name} model=${model.data} place=${place} me=${me} overview=${overview} reload=${model.reload} />`}`;
}

const KINDS = { tensors: "", "": "" };

function Head({ name, model }) {
  return html`<div class="tight">
    <p class="crumb"><a href=${link(["models"])}>Models</a></p>
    <div class="title"><h1>${name}</h1>
      <span class="chips">${model && html`${KINDS[model.kind] === undefined && html`<${Chip} look="plain">${model.kind}</${Chip}>`}
        ${model.pinned && html`<${Chip} look="plain" title="always kept loaded">pinned</${Chip}>`}${model.protected && html`<${Chip} look="plain" title="cannot be deleted">protected</${Chip}>`}
        <${Retraining} labels=${model.labels} /><${Aliases} aliases=${model.aliases} />
        ${(model.alerts?.firing || model.alerts?.pending || model.drift?.fields) ? html`<${Signs} model=${{ ...model, name }} />` : ""}`}</span></div>
    ${model?.description && html`<p class="soft">${model.description}</p>`}
    <div style=${{ minHeight: "24px", maxWidth: "520px" }}>${model && html`<${Route} route=${model.route} />`}</div>
  </div>`;
}
