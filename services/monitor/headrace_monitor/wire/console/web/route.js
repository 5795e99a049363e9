// Where the reader is: the part of the address behind "#", as a path and parameters.
import { useEffect, useState } from "./vendor/preact.js";

const PLACE = "headrace-place";

export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { parts: parts.length ? parts : ["models"], params: new URLSearchParams(query) };
}

function decode(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

// The address of a place; parameters that are empty are left out. The time range goes along.
export function link(parts, params = {}) {
  const kept = new URLSearchParams();
  const here = parse(location.hash).params;
  for (const name of ["range", "end"]) if (here.get(name)) kept.set(name, here.get(name));
  for (const [name, value] of Object.entries(params)) {
    if (value === "" || value === null || value === undefined) kept.delete(name);
    else kept.set(name, value);
  }
  const query = kept.toString();
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}${query ? `?${query}` : ""}`;
}

// Changes parameters of this place; "replace" leaves no step in the history, as while somebody types.
export function change(params, { replace = false } = {}) {
  const { parts, params: now } = parse(location.hash);
  const next = link(parts, { ...Object.fromEntries(now), ...params });
  if (replace) {
    history.replaceState(null, "", next);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = next;
}

export function usePlace() {
  const [place, move] = useState(() => parse(location.hash));
  useEffect(() => {
    const moved = () => move(parse(location.hash));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

// Over a login the place is kept in the tab: the form does not carry it.
export function keepPlace() {
  try { sessionStorage.setItem(PLACE, location.hash); } catch { /* the first page, then */ }
}

export function restorePlace() {
  try {
    const kept = sessionStorage.getItem(PLACE);
    sessionStorage.removeItem(PLACE);
    if (kept && !location.hash) history.replaceState(null, "", kept);
  } catch { /* nothing was kept */ }
}
