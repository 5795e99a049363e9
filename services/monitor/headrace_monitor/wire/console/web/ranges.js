// The stretch of time that is looked at: in the address, so that a link shows the same.
import { html } from "./vendor/preact.js";
import { time } from "./format.js";
import { change } from "./route.js";
import { Segments } from "./parts.js";

const CHOICES = [["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21600], ["24h", 86400]];
const DEFAULT = "15m";

// {seconds, end (0: now), step, every: how often to ask again (0: never)}
export function rangeOf(params) {
  const asked = params.get("range") || DEFAULT;
  const named = CHOICES.find(([name]) => name === asked)?.[1];
  const seconds = named || Math.min(86400 * 31, Math.max(30, parseInt(asked, 10) || 900));
  const end = Math.max(0, Number(params.get("end")) || 0);
  const step = stepFor(seconds);
  return { name: named ? asked : "", seconds, end, step, every: end ? 0 : Math.max(3, Math.min(30, step)) };
}

function stepFor(seconds) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  return steps.find((step) => seconds / step <= 150) || Math.ceil(seconds / 150);
}

// What a chart was dragged over becomes the range.
export function zoom(from, to) {
  const seconds = Math.max(30, Math.round(to - from));
  change({ range: `${seconds}s`, end: Math.ceil(to) });
}

export function RangeBar({ range, place }) {
  const options = CHOICES.map(([name]) => [name, name.replace("m", " min").replace("h", " h")]);
  return html`<div class="bar">
    <${Segments} label="Time range" options=${options} value=${range.end ? "" : range.name} onChange=${(name) => change({ range: name, end: "" })} />
    ${range.end > 0 && html`<span class="hint">${time(range.end - range.seconds)} to ${time(range.end)}</span>
      <button type="button" onClick=${() => change({ range: range.name || DEFAULT, end: "" })}>Back to now</button>`}
    ${!range.end && !range.name && html`<span class="hint">the last ${range.seconds} s</span>`}
    ${place}
  </div>`;
}
