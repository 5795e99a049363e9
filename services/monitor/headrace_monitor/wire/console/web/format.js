// Numbers, lengths and times as people read them.
const NONE = "–";

export const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export function number(value, digits = 3) {
  if (missing(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9, digits)} G`;
  if (size >= 1e6) return `${trim(value / 1e6, digits)} M`;
  if (size >= 1e4) return `${trim(value / 1e3, digits)} k`;
  return trim(value, digits);
}

function trim(value, digits) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000 || Number.isInteger(value)) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  const places = Math.min(6, Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
  return value.toFixed(places);
}

export const count = (value) => missing(value) ? NONE : Math.round(value).toLocaleString("en");
export const rate = (value) => missing(value) ? NONE : `${number(value)}/s`;

export function share(value, digits = 2) {
  if (missing(value)) return NONE;
  const percent = value * 100;
  if (percent !== 0 && Math.abs(percent) < 0.01) return "< 0.01 %";
  return `${percent === 0 || percent === 100 ? percent : percent.toPrecision(Math.abs(percent) >= 10 ? 3 : digits)} %`;
}

export function millis(value) {
  if (missing(value)) return NONE;
  if (value >= 10000) return `${number(value / 1000)} s`;
  if (value > 0 && value < 0.1) return `${number(value * 1000)} µs`;
  return `${number(value)} ms`;
}

export function bytes(value) {
  if (missing(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${number(value / 1000 ** step)} ${units[step]}`;
}

export function length(seconds) {
  if (missing(seconds)) return NONE;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  if (whole < 129600) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86400)} days`;
}

export const ago = (seconds) => missing(seconds) || seconds <= 0 ? NONE : `${length(Date.now() / 1000 - seconds)} ago`;

const SHORT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const LONG = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", hour12: false,
});
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";

export function time(seconds) {
  if (missing(seconds) || seconds <= 0) return NONE;
  const date = new Date(seconds * 1000);
  return Date.now() - date < 43200000 && Date.now() >= date ? SHORT.format(date) : LONG.format(date);
}

export const utc = (seconds) => missing(seconds) || seconds <= 0 ? "" : `${new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 19)} UTC`;
