// Asks the monitor, and goes on asking; what fails is told, and tried again.
import { useEffect, useRef, useState } from "./vendor/preact.js";
import { keepPlace } from "./route.js";

const TIMEOUT_MS = 15000;

export class ApiError extends Error {
  constructor(message, reason, status, facts = {}) {
    super(message);
    this.facts = facts;
    this.reason = reason;
    this.status = status;
  }
}

export async function ask(path, { method = "GET", body, signal, timeout = TIMEOUT_MS, text = false } = {}) {
  const limit = AbortSignal.timeout(timeout);
  const options = { method, cache: "no-cache", signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    const late = error.name === "TimeoutError";
    throw new ApiError(late ? "The monitor did not answer in time." : "The monitor cannot be reached.", "UNREACHABLE", 0);
  }
  if (response.status === 401) {
    keepPlace();
    location.assign("/login");
  }
  if (text && response.ok) return response.text();
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    const told = answer?.error || `The monitor answered with status ${response.status}.`;
    throw new ApiError(told, answer?.reason || "", response.status, answer?.facts);
  }
  return answer;
}

export const post = (path, body, options = {}) => ask(path, { method: "POST", body, ...options });

// An address with parameters; those that are empty are left out.
export function address(path, params = {}) {
  const kept = Object.entries(params).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `${path}?${new URLSearchParams(kept)}` : path;
}

export const segment = encodeURIComponent;

// Asks for an address now and every so many seconds while the page is looked at.
// What was told last stays while a newer answer is under way, and when one fails.
export function usePoll(path, seconds = 0) {
  const [state, set] = useState({ path, data: null, error: null, at: 0 });
  const again = useRef(() => {});
  useEffect(() => {
    if (!path) return undefined;
    const control = new AbortController();
    let timer = 0;
    let failures = 0;
    const next = () => {
      if (control.signal.aborted) return;
      const wait = failures ? Math.min(30, 2 ** failures) : seconds;
      if (wait) timer = setTimeout(run, wait * 1000);
    };
    async function run() {
      clearTimeout(timer);
      if (document.hidden && state.data) { timer = setTimeout(run, 1000); return; }
      try {
        const data = await ask(path, { signal: control.signal });
        failures = 0;
        if (!control.signal.aborted) set({ path, data, error: null, at: Date.now() });
      } catch (error) {
        if (control.signal.aborted) return;
        failures = error.status && error.status < 500 && error.status !== 429 ? Math.max(4, failures + 1) : failures + 1;
        set((before) => ({ path, data: before.path === path ? before.data : null, error, at: before.at }));
      }
      next();
    }
    const seen = () => { if (!document.hidden && (seconds || failures)) run(); };
    document.addEventListener("visibilitychange", seen);
    again.current = run;
    run();
    return () => {
      control.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [path, seconds]);
  const own = state.path === path;
  return {
    data: own ? state.data : null,
    error: own ? state.error : null,
    at: own ? state.at : 0,
    loading: Boolean(path) && !(own && (state.data || state.error)),
    previous: state.data,
    reload: () => again.current(),
  };
}
