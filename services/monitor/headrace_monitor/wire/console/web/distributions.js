// How a field's rows are spread, beside its reference: densities of numbers, bars of labels.
import { html, useMemo } from "./vendor/preact.js";
import { count, number } from "./format.js";
import { Drawn, axisLook, tone, tooltip } from "./charts.js";

const share = (value) => `${value > 0 && value < 0.001 ? "< 0.1" : (value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
const sharesOf = (counts) => {
  const sum = counts.reduce((total, each) => total + each, 0) || 1;
  return counts.map((each) => each / sum);
};

export function Compared({ row }) {
  const { limits, labels, reference, current } = row.distributions;
  const sets = [
    { name: `Reference (${count(row.reference_rows)} rows)`, shares: sharesOf(reference), colour: "s7" },
    { name: `Now (${count(row.rows)} rows)`, shares: sharesOf(current), colour: "s1" },
  ];
  const title = row.aspect === "value" ? "Values" : row.aspect[0].toUpperCase() + row.aspect.slice(1);
  const isNumber = limits.length > 2;
  return html`<div class="tight">${isNumber ? html`<${Density} title=${title} limits=${limits} sets=${sets} />` : html`<${Bars} title=${title} names=${namesOf(limits, labels)} sets=${sets} />`}
    <${Aside} sets=${sets} isNumber=${isNumber} /></div>`;
}

function namesOf(limits, labels) {
  const rest = labels.length ? [...labels, "others"] : limits.length ? [`below ${number(limits[0])}`, ...limits.slice(1).map((to, at) => `${number(limits[at])} to ${number(to)}`), `above ${number(limits.at(-1))}`] : [];
  return ["missing", "infinite", ...rest];
}

// What lies beside the drawn range.
function Aside({ sets, isNumber }) {
  const [was, now] = sets.map((each) => each.shares);
  const last = was.length - 1;
  const parts = [["missing", 0], ["infinite", 1], ...(isNumber ? [["below the reference", 2], ["above the reference", last]] : [])]
    .filter(([, at]) => (was[at] || 0) > 0 || (now[at] || 0) > 0);
  if (!parts.length) return null;
  return html`<p class="hint">${parts.map(([name, at]) => `${name}: ${share(was[at] || 0)} → ${share(now[at] || 0)}`).join(" · ")}</p>`;
}

const look = () => ({
  legend: { top: 0, left: 0, textStyle: { color: tone("ink"), fontSize: 12 }, itemWidth: 14, itemHeight: 10, icon: "rect", selectedMode: false },
  grid: { left: 56, right: 14, top: innerWidth < 480 ? 54 : 34, bottom: 26 },
});

// Groups are of different widths, so shares are divided by them: equal areas are equal shares.
function Density({ title, limits, sets }) {
  const key = JSON.stringify([limits, sets]);
  const widths = limits.slice(1).map((to, at) => Math.max(to - limits[at], 1e-12));
  const inner = sets.map((each) => each.shares.slice(3, 3 + widths.length));
  const [from, to] = middle(limits, inner);
  const option = useMemo(() => () => ({
    ...look(),
    tooltip: {
      ...tooltip(), trigger: "axis",
      formatter: (points) => {
        const at = Math.max(0, Math.min(widths.length - 1, limits.findLastIndex((each) => each <= points[0].axisValue)));
        return [`${number(limits[at])} to ${number(limits[at + 1])}`, ...sets.map((each, index) => `${each.name}: ${share(inner[index][at])}`)].join("\n");
      },
    },
    xAxis: { type: "value", min: from, max: to, ...axisLook(), splitLine: { show: false }, axisLabel: { color: tone("soft"), fontSize: 11, hideOverlap: true, formatter: (value) => number(value) } },
    yAxis: { type: "value", min: 0, ...axisLook(), axisLine: { show: false }, axisLabel: { show: false } },
    series: sets.map((each, index) => ({
      name: each.name, type: "line", step: "end", showSymbol: false, z: index + 2, color: tone(each.colour),
      data: [[limits[0], 0], ...widths.map((width, at) => [limits[at + 1], inner[index][at] / width])],
      lineStyle: { color: tone(each.colour), width: index ? 2.2 : 1 }, areaStyle: { color: tone(each.colour), opacity: index ? 0.12 : 0.4 },
    })),
  }), [key]);
  return html`<${Drawn} title=${title} note="density" height=${250} option=${option} label=${spoken(title, namesOf(limits, []).slice(2), sets.map((each) => ({ ...each, shares: each.shares.slice(2) })))}
    table=${{ head: ["Values", ...sets.map((each) => each.name)], rows: () => rows(namesOf(limits, []), sets) }} />`;
}

// The range without the last half percent on either side, of both.
function middle(limits, inner) {
  const most = limits.slice(1).map((_, at) => Math.max(...inner.map((shares) => shares[at] || 0)));
  let [first, last] = [0, most.length - 1];
  for (let sum = 0; first < last && sum + most[first] < 0.005; first += 1) sum += most[first];
  for (let sum = 0; last > first && sum + most[last] < 0.005; last -= 1) sum += most[last];
  return [limits[first], limits[last + 1]];
}

const MOST = 30;

function Bars({ title, names, sets }) {
  const order = names.map((_, at) => at).filter((at) => sets.some((each) => each.shares[at] > 0));
  const sorted = order.length > MOST ? order.toSorted((one, other) => Math.max(...sets.map((each) => each.shares[other])) - Math.max(...sets.map((each) => each.shares[one]))).slice(0, MOST) : order;
  const key = JSON.stringify([names, sets]);
  const option = useMemo(() => () => ({
    ...look(),
    tooltip: { ...tooltip(), trigger: "axis", formatter: (points) => [names[sorted[points[0].dataIndex]], ...points.map((each) => `${each.seriesName}: ${share(each.value)}`)].join("\n") },
    xAxis: { type: "category", data: sorted.map((at) => names[at]), ...axisLook(), splitLine: { show: false } },
    yAxis: { type: "value", min: 0, ...axisLook(), axisLabel: { color: tone("soft"), fontSize: 11, formatter: share } },
    series: sets.map((each) => ({ name: each.name, type: "bar", data: sorted.map((at) => each.shares[at]), barGap: "4%", barCategoryGap: "26%", barMaxWidth: 40, itemStyle: { color: tone(each.colour), borderRadius: [2, 2, 0, 0] } })),
  }), [key]);
  return html`<${Drawn} title=${title} note="share of rows" height=${250} option=${option} label=${spoken(title, names, sets)}
    table=${{ head: ["Values", ...sets.map((each) => each.name)], rows: () => rows(names, sets) }} />`;
}

const rows = (names, sets) => names.map((name, at) => [name, ...sets.map((each) => share(each.shares[at] || 0))]);
const spoken = (title, names, sets) => `${title}: ${sets.map((each) => `${each.name}, most in ${names[each.shares.indexOf(Math.max(...each.shares))]}`).join("; ")}`;
