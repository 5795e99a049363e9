// The frame: where the reader is, what is alarming, whether what is shown is live, light or dark.
import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";
import { usePoll } from "./api.js";
import { link, restorePlace, usePlace } from "./route.js";
import { Empty, Skeleton } from "./parts.js";

const PAGES = {
  models: { title: "Models", load: () => import("./page_models.js") },
  replicas: { title: "Replicas", load: () => import("./page_replicas.js") },
  alerts: { title: "Alerts", load: () => import("./page_alerts.js") },
  audit: { title: "Audit", load: () => import("./page_audit.js") },
};
const VERSIONS = { title: "Versions", load: () => import("./page_versions.js") };
const MODEL = { title: "Model", load: () => import("./page_model.js") };
const SIGNS = {
  models: "M4 7l8-4 8 4-8 4-8-4zm0 5l8 4 8-4M4 17l8 4 8-4",
  replicas: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
  alerts: "M6 17V11a6 6 0 0 1 12 0v6l2 2H4zM10 21h4",
  audit: "M6 3h9l4 4v14H6zM9 12h7M9 16h7M9 8h3",
};
const namespace = document.querySelector("meta[name=namespace]").content;

const Sign = ({ path }) => html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path} /></svg>`;

const Brand = () => html`<a class="brand" href=${link(["models"])}>
  <svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#0f766e" /><path d="M7 8v16M25 8v16" stroke="#fff" stroke-width="3.4" stroke-linecap="round" /><path d="M7 16c4.5-5 7 4 11 .5 2-1.7 4-2 7-.5" stroke="#99f6e4" stroke-width="3.4" fill="none" stroke-linecap="round" /></svg>
  <span>Headrace</span> <small title=${namespace}>${namespace}</small></a>`;

const THEMES = {
  auto: ["light", "Colours as the system has them; switch to light", "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18"],
  light: ["dark", "Light; switch to dark", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19"],
  dark: ["auto", "Dark; switch to what the system has", "M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z"],
};

function Theme() {
  const root = document.documentElement;
  const [theme, set] = useState(root.dataset.theme);
  const [next, label, path] = THEMES[theme] || THEMES.auto;
  function turn() {
    root.dataset.theme = next;
    try { localStorage.setItem("headrace-theme", next); } catch { /* until the page is left, then */ }
    set(next);
    dispatchEvent(new Event("headrace-theme"));
  }
  return html`<button type="button" class="quiet" onClick=${turn} aria-label=${label} title=${label}><${Sign} path=${path} /></button>`;
}

function Live({ overview }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 2000);
    return () => clearInterval(timer);
  }, []);
  const late = overview.at && Date.now() - overview.at > 20000 && !document.hidden;
  const [look, word] = overview.error || late ? ["lost", "no answer"]
    : overview.data && !overview.data.catalog?.connected ? ["old", "registry away"]
      : overview.data ? ["", "live"] : ["old", "waiting"];
  return html`<span class=${`live ${look}`} role="status">${word}</span>`;
}

function Who({ me }) {
  if (!me?.enforced) return null;
  return html`<span class="who" title=${me.subject}>${me.subject}</span>
    <form method="post" action="/logout"><button class="quiet">Log out</button></form>`;
}

const tabOf = (parts) => (PAGES[parts[0]] ? parts[0] : "models");

function Top({ here, overview, me }) {
  const firing = overview.data?.alerts?.firing || 0;
  const tabs = Object.entries(PAGES).filter(([name]) => name !== "audit" || !me || me.enforced === false || (me.may_everywhere || []).includes("admin"));
  return html`<header class="top"><div class="top-inner">
    <${Brand} />
    <nav class="nav" aria-label="Main">${tabs.map(([name, { title }]) => html`
      <a key=${name} href=${link([name])} aria-current=${here === name ? "page" : undefined}><${Sign} path=${SIGNS[name]} />${title}
        ${name === "alerts" && firing ? html`<span class="count" aria-label=${`${firing} firing`}>${firing > 99 ? "99+" : firing}</span>` : ""}</a>`)}</nav>
    <div class="tools"><${Live} overview=${overview} /><${Theme} /><${Who} me=${me} /></div>
  </div></header>`;
}

// Pages are loaded when they are first asked for.
function Page({ place, me, overview }) {
  const [, model] = place.parts;
  const page = place.parts[0] === "models" && model !== undefined ? MODEL : place.parts[0] === "versions" ? VERSIONS : PAGES[place.parts[0]];
  const [shown, show] = useState({ page: null });
  useEffect(() => {
    if (!page) return;
    page.load().then((module) => show({ page, Body: module.default }), () => show({ page, failed: true }));
  }, [page]);
  if (!page) return html`<div class="card"><${Empty} title="There is nothing here"><p>Go to <a href=${link(["models"])}>the models</a>.</p></${Empty}></div>`;
  if (shown.page !== page) return html`<${Skeleton} height=${420} />`;
  if (shown.failed) return html`<div class="card"><${Empty} title="This page could not be loaded"><p>The monitor was replaced by another version, or cannot be reached.</p><button type="button" onClick=${() => location.reload()}>Load it again</button></${Empty}></div>`;
  return html`<${shown.Body} key=${place.parts.slice(0, 2).join("/")} place=${place} me=${me} overview=${overview} />`;
}

function App() {
  const place = usePlace();
  const me = usePoll("/api/v1/me", 60);
  const overview = usePoll("/api/v1/overview", 5);
  const here = tabOf(place.parts);
  const body = useRef(null);
  const first = useRef(true);
  const view = place.parts.slice(0, 2).join("/");
  useEffect(() => {
    document.title = [place.parts[1], PAGES[here].title, "Headrace"].filter(Boolean).join(" · ");
    if (first.current) { first.current = false; return; }
    scrollTo(0, 0);
    body.current?.focus({ preventScroll: true });
  }, [view]);
  const skip = (event) => { event.preventDefault(); body.current?.focus(); };
  return html`<a class="skip" href="#content" onClick=${skip}>To the content</a>
    <${Top} here=${here} overview=${overview} me=${me.data} />
    <main id="content" tabindex="-1" ref=${body}><${Page} place=${place} me=${me.data} overview=${overview} /></main>`;
}

restorePlace();
const app = document.getElementById("app");
app.replaceChildren();
render(html`<${App} />`, app);
