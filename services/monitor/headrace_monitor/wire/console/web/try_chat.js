// A talk with a model that generates text.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { ApiError } from "./api.js";
import { millis } from "./format.js";
import { pathOf } from "./page_model.js";

export function Chat({ name, version, example }) {
  const plain = example && example.messages === undefined && example.prompt !== undefined;
  const [said, say] = useState([]);
  const [text, type] = useState(plain ? example.prompt : example?.messages?.at(-1)?.content || "");
  const [tokens, setTokens] = useState(128);
  const [problem, tell] = useState(null);
  const [busy, work] = useState(null);
  const end = useRef(null);
  useEffect(() => { end.current?.scrollTo?.({ top: end.current.scrollHeight }); }, [said]);
  async function submit(event) {
    event.preventDefault();
    const words = text.trim();
    if (!words) return;
    const before = [...said.filter((each) => !each.failed), { role: "user", content: words }];
    const messages = before.map(({ role, content }) => ({ role, content }));
    const control = new AbortController();
    work(control);
    tell(null);
    type("");
    say([...before, { role: "assistant", content: "" }]);
    const began = performance.now();
    try {
      const request = { ...(plain ? { prompt: words } : { messages }), max_tokens: tokens, stream: true };
      const body = version ? { version: /^\d+$/.test(version) ? Number(version) : version, request } : { request };
      const told = await stream(pathOf(name, "/chat"), body, control.signal, (content, by) => say([...before, { role: "assistant", content, by }]));
      say([...before, { role: "assistant", ...told, took: performance.now() - began }]);
    } catch (error) {
      if (control.signal.aborted) say((now) => now.map((each, index) => (index === now.length - 1 ? { ...each, stopped: true } : each)));
      else { tell(error); say(before.slice(0, -1)); type(words); }
    }
    work(null);
  }
  const send = (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event); };
  return html`<form class="stack" onSubmit=${submit}>
    <div class="bubbles" role="log" aria-label="The talk" tabindex="0" ref=${end} style=${{ minHeight: "150px" }}>
      ${said.length === 0 && html`<p class="hint">Say something; the answer comes word by word.</p>`}
      ${said.map((each, index) => html`<div key=${index} class=${`bubble ${each.role === "user" ? "mine" : ""}`}>${each.content || (each.role === "assistant" ? "…" : "")}
        ${each.role === "assistant" && (each.by || each.took) ? html`<small>${[each.by && `v${each.by}`, each.took && millis(each.took), each.tokens && `${each.tokens} tokens`, each.stopped && "stopped"].filter(Boolean).join(" · ")}</small>` : ""}</div>`)}</div>
    ${problem && html`<div class="note bad" role="alert"><span><strong>${problem.message}</strong>${problem.reason ? html` <span class="mono">${problem.reason}</span>` : ""}</span></div>`}
    <label class="field">${plain ? "Prompt" : "You"}<textarea rows="3" value=${text} onKeyDown=${send} onInput=${(event) => type(event.currentTarget.value)}></textarea></label>
    <div class="bar"><label class="version-name"><span class="hint">At most</span> <input type="number" min="1" max="4096" style=${{ width: "6em" }} value=${tokens} onInput=${(event) => setTokens(Number(event.currentTarget.value) || 1)} /> <span class="hint">tokens</span></label><span class="grow"></span>
      ${said.length > 0 && html`<button type="button" class="quiet" disabled=${Boolean(busy)} onClick=${() => say([])}>Begin anew</button>`}
      ${busy ? html`<button type="button" onClick=${() => busy.abort()}>Stop</button>` : html`<button class="main" disabled=${!text.trim()}>Send</button>`}</div></form>`;
}

// Reads an event stream of OpenAI's form; `show` gets the text so far.
async function stream(path, body, signal, show) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal });
  const type = response.headers.get("content-type") || "";
  if (!response.ok || !type.includes("event-stream")) {
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw new ApiError(answer?.error?.message || answer?.error || `status ${response.status}`, answer?.reason || answer?.error?.code || "", response.status);
    const choice = (answer?.response || answer)?.choices?.[0];
    return { content: choice?.message?.content ?? choice?.text ?? "", by: answer?.version, tokens: (answer?.response || answer)?.usage?.completion_tokens };
  }
  const told = { content: "", by: response.headers.get("headrace-version") || "", tokens: 0 };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return told;
    const lines = (left + value).split(/\r?\n/);
    left = lines.pop();
    for (const line of lines) take(line, told);
    show(told.content, told.by);
  }
}

function take(line, told) {
  if (!line.startsWith("data:")) return;
  const text = line.slice(5).trim();
  if (text === "[DONE]") return;
  const event = JSON.parse(text);
  if (event.error) throw new ApiError(event.error.message || String(event.error), event.error.code || event.reason || "", 200);
  const choice = event.choices?.[0];
  const more = choice?.delta?.content ?? choice?.text ?? "";
  if (more) { told.content += more; told.tokens += 1; }
  if (event.usage?.completion_tokens) told.tokens = event.usage.completion_tokens;
  told.by = /^\d+$/.test(event.version || event.model_version || "") ? event.version || event.model_version : told.by;
}
