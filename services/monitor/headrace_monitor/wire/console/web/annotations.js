// Pieces of what is said of versions: metrics, tags, where it is from, files.
import { html } from "./vendor/preact.js";
import { address } from "./api.js";
import { missing, number } from "./format.js";
import { link } from "./route.js";
import { Chip } from "./parts.js";
import { pathOf } from "./page_model.js";

export const CARD = "card.md";

// A file of a version. Whoever opens it sees it in a sandbox, where it can do nothing.
export const fileOf = (name, version, path, params = {}) => pathOf(name, `/versions/${version}/attachment`, { path, ...params });

export const Opened = ({ href, children, title }) => html`<a href=${href} title=${title} target="_blank" rel="noopener noreferrer">${children}<span class="hidden-text"> (opens in a new tab)</span></a>`;

// Of each metric of whole data the one that was measured last.
export function newest(metrics) {
  const found = new Map();
  for (const each of metrics.filter((metric) => !metric.slice)) {
    const before = found.get(each.name);
    if (!before || (each.measured_at || 0) >= (before.measured_at || 0)) found.set(each.name, each);
  }
  return [...found.values()];
}

// Four digits, without zeros that say nothing.
export const digits = (found) => (Math.abs(found) >= 1e4 ? number(found, 4) : String(Number(found.toPrecision(4))));

export const value = (metric) => digits(metric.value);

export const interval = (metric) => (missing(metric.lower) || missing(metric.upper) ? "" : `${digits(metric.lower)} to ${digits(metric.upper)}`);

export const dataOf = (metric) => metric.data_name || metric.data_digest.slice(0, 12);

export const Value = ({ metric }) => html`<strong class="num">${value(metric)}</strong>${interval(metric) && html` <span class="soft num">${interval(metric)}</span>`}`;

export const Tags = ({ tags }) => html`<span class="chips">${Object.entries(tags).map(([key, text]) => html`<${Chip} key=${key} look="plain" title=${`${key}=${text}`}>${text ? `${key}=${text}` : key}</${Chip}>`)}</span>`;

export const versionLink = (name, version) => html`<a href=${link(["models", name, "versions", version])}>v${version}</a>`;

const KINDS = { global: "Explanation", row: "Explanation of a row", image: "Explanation of an image", text: "Explanation of a text" };
const folderOf = (text) => text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+|[.-]+$/g, "").slice(0, 100) || "data";

// Reports among the files of a version, by what they tell: [title, path].
export function reportsOf(said) {
  const names = Object.fromEntries(said.metrics.filter((each) => each.data_name).map((each) => [folderOf(each.data_name), each.data_name]));
  return said.attachments.map(({ path }) => {
    const parts = path.split("/");
    if (!path.endsWith(".html")) return null;
    if (parts[0] === "evaluation") return ["evaluation", parts.length > 2 ? `Evaluation on ${names[parts[1]] || parts[1]}` : "Evaluation", path];
    if (parts[0] === "optimisation") return ["optimisation", "Optimisation", path];
    if (parts[0] === "explanation") return ["explanation", KINDS[parts[1].replace(/\.html$/, "")] || `Explanation: ${parts[1]}`, path];
    return null;
  }).filter(Boolean);
}

export const commandsOf = (name, version) => ({
  evaluation: `headrace evaluate ${name}/${version} --data test.csv --target COLUMN`,
  explanation: `headrace explain ${name}/${version} --global --data test.csv --target COLUMN --store`,
  optimisation: `headrace optimise ${name} --version ${version} --method auto --data sample.csv`,
});

export const search = (params) => address("/api/v1/versions", params);
