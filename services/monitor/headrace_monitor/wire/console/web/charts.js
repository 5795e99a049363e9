// Charts: series by uPlot, heat maps and distributions by ECharts. Each also tells its figures as text.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import uPlot from "./vendor/uplot.js";
import { missing, number, time } from "./format.js";

export const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const FONT = "12px system-ui, sans-serif";

// The place of a version among the colours: the same on every chart of a page.
export const toneOf = (index) => `s${((index % 8) + 8) % 8}`;

// Counts how often the colours changed: by the switch, or by the system.
export function useColours() {
  const [turn, set] = useState(0);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const again = () => set((before) => before + 1);
    dark.addEventListener("change", again);
    addEventListener("headrace-theme", again);
    return () => {
      dark.removeEventListener("change", again);
      removeEventListener("headrace-theme", again);
    };
  }, []);
  return turn;
}

function useWidth(place) {
  const [width, set] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => set(Math.floor(entry.contentRect.width)));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  return width;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false });
const clock = (seconds, step) => (step >= 86400 ? DAY : step < 60 ? CLOCK_SECONDS : CLOCK).format(seconds * 1000);

function axes(format) {
  const grid = { stroke: tone("line"), width: 1 };
  const ticks = { stroke: tone("line"), width: 1, size: 4 };
  const stroke = tone("soft");
  return [
    { stroke, grid: { show: false }, ticks, font: FONT, space: 76, values: (_, at, __, ___, step) => at.map((each) => clock(each, step)) },
    { stroke, grid, ticks: { show: false }, font: FONT, size: 62, space: 26, values: (_, at) => at.map((each) => (each === 0 ? "0" : format(each))) },
  ];
}

// Times at which something was changed, as lines with a number that the list below explains.
function marksPlugin(marks) {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = tone("calm");
        ctx.fillStyle = tone("calm");
        ctx.lineWidth = devicePixelRatio;
        ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
        ctx.textAlign = "center";
        const named = [];
        marks.forEach((mark, index) => {
          const x = plot.valToPos(mark.at, "x", true);
          if (x < bbox.left || x > bbox.left + bbox.width) return;
          const before = named.at(-1);
          if (before && x - before.x < 18 * devicePixelRatio) before.last = mark.sign || String(index + 1);
          else named.push({ x, first: mark.sign || String(index + 1) });
          ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top + 12 * devicePixelRatio);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
        });
        for (const { x, first, last: end } of named) ctx.fillText(end ? `${first}–${end}` : first, x, bbox.top + 9 * devicePixelRatio);
        ctx.restore();
      },
    },
  };
}

function bandOf(series) {
  const found = [];
  series.forEach((each, index) => { if (each.lower) found.push({ series: [index + 1, index + 2], fill: each.fill }); });
  return found;
}

// Series over time. `series`: [{label, values, colour, dash, step}]; drag to look closer.
export function Series({ title, note, times, series, marks = [], format = number, height = 190, range, onZoom, floor = 0, top }) {
  const place = useRef(null);
  const plot = useRef(null);
  const width = useWidth(place);
  const colours = useColours();
  const shape = series.map((each) => `${each.label}|${each.colour}|${each.dash || ""}`).join();
  const marked = marks.map((each) => each.at).join();
  const isEmpty = !times.length || series.every((each) => each.values.every(missing));
  const data = [times, ...series.map((each) => each.values.map((value) => (missing(value) ? null : value)))];
  const live = useRef({});
  live.current = { onZoom, format, range, top };
  useEffect(() => {
    if (!width || isEmpty) return undefined;
    const made = new uPlot({
      width, height,
      padding: [10, 10, 0, 0],
      cursor: { sync: { key: "time", setSeries: false }, drag: { x: Boolean(onZoom), y: false, setScale: false }, points: { size: 7 } },
      legend: { live: true },
      scales: {
        x: { time: true, range: (_, least, most) => live.current.range || [least, most] },
        y: { range: (_, least, most) => (floor === null ? around(least, most) : [floor, live.current.top ?? (most > 0 ? most * 1.08 : 1)]) },
      },
      axes: axes((value) => live.current.format(value)),
      series: [
        { label: "Time", value: (_, at) => (missing(at) ? "now" : time(at)) },
        ...series.map((each) => ({
          label: each.label, stroke: tone(each.colour), width: 1.8, dash: each.dash, spanGaps: false,
          paths: each.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
          fill: each.fill ? `color-mix(in srgb, ${tone(each.colour)} 14%, transparent)` : undefined,
          points: { show: each.values.filter((value) => !missing(value)).length < 3, size: 6 },
          value: (self, value, at, index) => {
            const shown = index === null ? last(self.data[at]) : value;
            return missing(shown) ? "–" : live.current.format(shown);
          },
        })),
      ],
      bands: bandOf(series),
      hooks: {
        setSelect: [(self) => {
          if (self.select.width < 8) return;
          const from = self.posToVal(self.select.left, "x");
          const to = self.posToVal(self.select.left + self.select.width, "x");
          self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          live.current.onZoom?.(from, to);
        }],
      },
      plugins: marks.length ? [marksPlugin(marks)] : [],
    }, data, place.current);
    plot.current = made;
    return () => { plot.current = null; made.destroy(); };
  }, [width > 0, isEmpty, shape, marked, colours, height, Boolean(onZoom)]);
  useEffect(() => { plot.current?.setSize({ width, height }); }, [width]);
  useEffect(() => { plot.current?.setData(data); });
  return html`<figure>
    <figcaption><h3>${title}</h3>${note && html`<span class="hint">${note}</span>`}</figcaption>
    <div class="plot" ref=${place} role="img" aria-label=${spoken(title, times, series, format)} style=${{ minHeight: `${height + 28}px` }}>
      ${isEmpty && html`<p class="nothing">Nothing in this stretch of time.</p>`}
    </div>
    ${!isEmpty && html`<${Alternative} head=${["Time", ...series.map((each) => each.label)]}
      rows=${() => times.map((at, index) => [time(at), ...series.map((each) => (missing(each.values[index]) ? "–" : format(each.values[index])))]).reverse()} />`}
  </figure>`;
}

// A scale that does not begin at 0: with room around what there is.
function around(least, most) {
  if (missing(least) || missing(most)) return [0, 1];
  const room = Math.max((most - least) * 0.15, Math.abs(most) * 0.01, 1e-9);
  return [least - room, most + room];
}

const last = (values) => values.findLast((value) => !missing(value));

function spoken(title, times, series, format) {
  if (!times.length) return `${title}: nothing yet`;
  const told = series.slice(0, 8).map((each) => {
    const there = each.values.filter((value) => !missing(value));
    if (!there.length) return `${each.label} nothing`;
    return `${each.label} last ${format(there.at(-1))}, least ${format(Math.min(...there))}, most ${format(Math.max(...there))}`;
  });
  return `${title}, from ${time(times[0])} to ${time(times.at(-1))}: ${told.join("; ")}`;
}

// The figures of a chart as a table, made when somebody opens it.
export function Alternative({ head, rows }) {
  const [open, set] = useState(false);
  return html`<details class="alternative" onToggle=${(event) => set(event.currentTarget.open)}>
    <summary>As a table</summary>
    ${open && html`<div class="wide" tabindex="0"><table><thead><tr>${head.map((each, index) => html`<th scope="col" class=${index ? "num" : ""}>${each}</th>`)}</tr></thead>
      <tbody>${rows().map((row) => html`<tr>${row.map((each, index) => html`<td class=${index ? "num" : ""}>${each}</td>`)}</tr>`)}</tbody></table></div>`}
  </details>`;
}

// A line of the last minutes beside a figure.
export function Spark({ values, label, colour = "s0" }) {
  const place = useRef(null);
  const plot = useRef(null);
  const colours = useColours();
  const data = [values.map((_, index) => index), values.map((value) => (missing(value) ? null : value))];
  useEffect(() => {
    const made = new uPlot({
      width: place.current.clientWidth || 120, height: 30, padding: [2, 0, 2, 0], legend: { show: false }, cursor: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: { x: { time: false }, y: { range: (_, __, most) => [0, most > 0 ? most : 1] } },
      series: [{}, { stroke: tone(colour), width: 1.5, fill: `color-mix(in srgb, ${tone(colour)} 16%, transparent)`, points: { show: false } }],
    }, data, place.current);
    plot.current = made;
    return () => { plot.current = null; made.destroy(); };
  }, [colours, colour]);
  const text = data[1].join();
  useEffect(() => { plot.current?.setData(data); }, [text]);
  return html`<div class="spark" ref=${place} role="img" aria-label=${label}></div>`;
}

let echarts = null;
const load = async () => (echarts ??= await import("./vendor/echarts.js"));

// A chart of ECharts, which is loaded when the first one is shown.
export function Drawn({ title, note, label, height, option, table }) {
  const place = useRef(null);
  const chart = useRef(null);
  const [ready, set] = useState(Boolean(echarts));
  const [failed, fail] = useState(false);
  const width = useWidth(place);
  const colours = useColours();
  useEffect(() => { if (!ready) load().then(() => set(true), () => fail(true)); }, []);
  useEffect(() => {
    if (!ready || !width) return undefined;
    const made = echarts.init(place.current, null, { renderer: "canvas", width, height });
    chart.current = made;
    return () => { chart.current = null; made.dispose(); };
  }, [ready, width > 0]);
  useEffect(() => { chart.current?.resize({ width, height }); }, [width, height]);
  const made = useMemo(() => (ready ? option() : null), [option, colours, ready]);
  useEffect(() => { if (made && chart.current) chart.current.setOption({ animation: false, textStyle: { fontFamily: "system-ui, sans-serif" }, ...made }, true); }, [made, ready, width > 0]);
  return html`<figure>
    <figcaption><h3>${title}</h3>${note && html`<span class="hint">${note}</span>`}</figcaption>
    <div class="plot" ref=${place} role="img" aria-label=${label} style=${{ height: `${height}px` }}>
      ${failed && html`<p class="nothing">This chart could not be loaded: load the page again.</p>`}
    </div>
    ${table && html`<${Alternative} head=${table.head} rows=${table.rows} />`}
  </figure>`;
}

export const tooltip = () => ({
  renderMode: "richText", confine: true, backgroundColor: tone("card"), borderColor: tone("line"), textStyle: { color: tone("ink"), fontSize: 12 },
});
export const axisLook = () => ({
  axisLine: { lineStyle: { color: tone("line-strong") } }, axisTick: { show: false }, axisLabel: { color: tone("soft"), fontSize: 11, hideOverlap: true },
  splitLine: { lineStyle: { color: tone("line") } },
});

// Latency over time: how many requests took how long.
export function Heat({ title, note, times, step, edges, counts, format, height = 250 }) {
  const cells = [];
  let most = 1;
  counts.forEach((row, x) => row?.forEach((value, y) => {
    if (value > 0) { cells.push([x, y, value]); most = Math.max(most, value); }
  }));
  const between = (y) => `${y ? format(edges[y - 1]) : "0"} to ${format(edges[y])}`;
  const at = (x) => time(times[x]);
  const key = `${times[0]}|${times.length}|${edges.join()}|${cells.length}|${most}|${cells.at(-1)}`;
  const option = useMemo(() => () => ({
    grid: { left: 62, right: 12, top: 8, bottom: 50 },
    tooltip: { ...tooltip(), formatter: ({ value }) => `${at(value[0])}\n${between(value[1])}: ${value[2].toLocaleString("en")} requests` },
    xAxis: { type: "category", data: times.map((each) => clock(each, step >= 60 ? 60 : 1)), ...axisLook(), splitLine: { show: false } },
    yAxis: { type: "category", data: edges.map(format), ...axisLook(), splitLine: { show: false } },
    visualMap: {
      min: 0, max: most, calculable: false, orient: "horizontal", left: "center", bottom: 0, itemHeight: 110, itemWidth: 10, dimension: 2,
      text: [`${most.toLocaleString("en")} requests`, "1"], textStyle: { color: tone("soft"), fontSize: 11 },
      inRange: { color: ["heat-0", "heat-1", "heat-2", "heat-3"].map(tone) },
    },
    series: [{ type: "heatmap", data: cells, progressive: 0, emphasis: { itemStyle: { borderColor: tone("ink"), borderWidth: 1 } } }],
  }), [key]);
  if (!cells.length) return html`<figure><figcaption><h3>${title}</h3></figcaption><div class="plot" style=${{ height: `${height}px` }}><p class="nothing">Nothing was answered in this stretch of time.</p></div></figure>`;
  const busiest = cells.reduce((one, other) => (other[2] > one[2] ? other : one));
  return html`<${Drawn} title=${title} note=${note} height=${height} option=${option}
    label=${`${title}: the most, ${busiest[2]} requests, took ${between(busiest[1])} at ${at(busiest[0])}; all between ${edges.length ? `0 and ${format(edges.at(-1))}` : ""}`}
    table=${{ head: ["Took", "Requests"], rows: () => edges.map((_, y) => [between(y), cells.filter((cell) => cell[1] === y).reduce((sum, cell) => sum + cell[2], 0).toLocaleString("en")]).reverse() }} />`;
}
