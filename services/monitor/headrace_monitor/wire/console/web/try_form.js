// A form that asks a model: numbers, texts, an image, or the request as JSON.
import { html, useRef, useState } from "./vendor/preact.js";
import { post } from "./api.js";
import { millis } from "./format.js";
import { Chip, Segments } from "./parts.js";
import { imageLayout, imageTensor } from "./images.js";
import { shapeOf } from "./model_call.js";
import { pathOf } from "./page_model.js";

const flat = (data) => (Array.isArray(data) ? data.flat(Infinity) : data);

function startOf(input, example) {
  const given = example?.inputs?.find((each) => each.name === input.name);
  const data = flat(given?.data) || [];
  return { name: input.name, datatype: input.datatype, shape: given?.shape || (input.shape || []).map((size) => (size < 0 ? 1 : size)), text: input.datatype === "BYTES" ? data.join("\n") : data.join(", "), data: null, left: false };
}

export function TryForm({ name, version, signature, example }) {
  const inputs = signature?.inputs || example?.inputs || [];
  const [mode, setMode] = useState("form");
  const [values, setValues] = useState(() => inputs.map((each) => startOf(each, example)));
  const [json, setJson] = useState("");
  const [answer, show] = useState(null);
  const [problem, tell] = useState(null);
  const [busy, work] = useState(false);
  const set = (index, more) => setValues((before) => before.map((each, at) => (at === index ? { ...each, ...more } : each)));
  const request = () => (mode === "json" ? JSON.parse(json) : { inputs: values.filter((each) => !each.left).map(tensorOf) });
  function turn(next) {
    try {
      if (next === "json") setJson(JSON.stringify(request(), null, 1).replace(/\n\s+(-?[\d.e+-]+,?|"[^"\n]*",?)(?=\n)/gi, " $1"));
      tell(null);
      setMode(next);
    } catch (error) { tell(error); }
  }
  async function submit(event) {
    event.preventDefault();
    work(true);
    tell(null);
    try {
      const body = request();
      show(await post(pathOf(name, "/infer"), version ? { version: /^\d+$/.test(version) ? Number(version) : version, request: body } : { request: body }, { timeout: 60000 }));
    } catch (error) {
      show(null);
      tell(error);
    }
    work(false);
  }
  return html`<form class="stack" onSubmit=${submit}>
    <div><${Segments} label="How to fill it in" options=${[["form", "Form"], ["json", "JSON"]]} value=${mode} onChange=${turn} /></div>
    ${mode === "json" ? html`<label class="field">Request <small>As the Open Inference Protocol has it.</small><textarea rows="14" spellcheck=${false} value=${json} onInput=${(event) => setJson(event.currentTarget.value)}></textarea></label>`
    : values.map((each, index) => html`<${Input} key=${each.name} value=${each} spec=${inputs[index]} onChange=${(more) => set(index, more)} />`)}
    <div class="bar"><button class="main" disabled=${busy}>${busy ? "Asking…" : "Ask it"}</button></div>
    <div aria-live="polite">${problem ? html`<div class="note bad"><span><strong>${problem.message}</strong>${problem.reason ? html` <span class="mono">${problem.reason}</span>` : ""}</span></div>` : answer && html`<${Answer} answer=${answer} />`}</div>
  </form>`;
}

function tensorOf(value) {
  const data = value.data || parse(value);
  const size = value.shape.reduce((product, each) => product * each, 1);
  const shape = size === data.length ? value.shape : refit(value.shape, data.length);
  return { name: value.name, datatype: value.datatype, shape, data };
}

// More or fewer rows than the example had: the first dimension follows.
function refit(shape, length) {
  const row = shape.slice(1).reduce((product, each) => product * each, 1);
  if (shape.length && row > 0 && length % row === 0 && length > 0) return [length / row, ...shape.slice(1)];
  throw new Error(`${length} values do not fill the shape [${shape.join(", ")}].`);
}

function parse({ name, datatype, text }) {
  if (datatype === "BYTES") return text.split("\n");
  const words = text.trim().replace(/[[\]]/g, " ").split(/[\s,;]+/).filter(Boolean);
  if (datatype === "BOOL") return words.map((word) => /^(true|1|yes)$/i.test(word));
  return words.map((word) => {
    const value = Number(word);
    if (!Number.isFinite(value)) throw new Error(`${name}: “${word}” is not a number.`);
    return value;
  });
}

function Input({ value, spec, onChange }) {
  const layout = imageLayout(value.shape, spec);
  const isText = value.datatype === "BYTES";
  const isFile = value.datatype === "UINT8" && !layout;
  return html`<fieldset><legend class="mono">${value.name}</legend><div class="tight">
    <span class="hint">${value.datatype} ${spec ? shapeOf(spec) : ""}${isText ? ", a line for each text" : ""}</span>
    ${spec?.optional && html`<label class="check"><input type="checkbox" checked=${!value.left} onChange=${(event) => onChange({ left: !event.currentTarget.checked })} /> Send it</label>`}
    ${(layout || isFile) && html`<${Image} value=${value} layout=${layout} onChange=${onChange} />`}
    ${!value.data && html`<textarea aria-label=${`Values of ${value.name}`} rows=${isText ? 4 : value.text.length > 200 ? 6 : 2} spellcheck=${isText} value=${value.text} onInput=${(event) => onChange({ text: event.currentTarget.value })}></textarea>`}
  </div></fieldset>`;
}

const SCALES = [["unit", "0 to 1"], ["bytes", "0 to 255"], ["imagenet", "ImageNet's mean and deviation"]];

function Image({ value, layout, onChange }) {
  const [scale, setScale] = useState(value.datatype === "UINT8" ? "bytes" : "unit");
  const [shown, show] = useState(null);
  const [problem, tell] = useState("");
  const file = useRef(null);
  async function read(how) {
    const chosen = file.current.files[0];
    tell("");
    if (!chosen) { onChange({ data: null }); show(null); return; }
    try {
      if (layout) {
        const { data, shape, url } = await imageTensor(chosen, layout, how);
        onChange({ data, shape });
        show(url);
      } else {
        const data = Array.from(new Uint8Array(await chosen.arrayBuffer()));
        onChange({ data, shape: value.shape.length > 1 ? [1, data.length] : [data.length] });
      }
    } catch { tell("This file is not an image that the browser can read."); }
  }
  function turn(event) {
    setScale(event.currentTarget.value);
    read(event.currentTarget.value);
  }
  return html`<label class="field">An image <small>${layout ? `It is made ${layout.width} by ${layout.height}, ${layout.channels === 1 ? "grey" : "in colour"}.` : "The bytes of the file are sent as they are."}</small><input type="file" accept="image/*" ref=${file} onChange=${() => read(scale)} /></label>
    ${layout && value.datatype !== "UINT8" && html`<label class="field">Values <select value=${scale} onChange=${turn}>${SCALES.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === scale}>${text}</option>`)}</select></label>`}
    ${shown && value.data && html`<img class="preview" src=${shown} alt="The image as it is sent" />`}
    ${value.data && html`<div class="bar"><span class="hint">${value.data.length.toLocaleString("en")} values</span><button type="button" onClick=${() => { file.current.value = ""; onChange({ data: null }); show(null); }}>Type numbers instead</button></div>`}
    ${problem && html`<p class="bad-text" role="alert">${problem}</p>`}`;
}

export function Answer({ answer }) {
  const outputs = answer.response?.outputs || [];
  return html`<div class="result tight"><div class="chips"><${Chip} look="good">answered by v${answer.version}</${Chip}>${answer.route && html`<${Chip} look="plain">${answer.route}</${Chip}>`}${answer.replica && html`<${Chip} look="plain">${answer.replica}</${Chip}>`}<${Chip} look="plain">${millis(answer.milliseconds)}</${Chip}></div>
    ${outputs.map((each) => html`<${Output} key=${each.name} output=${each} />`)}
    <details class="alternative"><summary>The whole answer</summary><pre tabindex="0">${JSON.stringify(answer.response, null, 1)}</pre></details></div>`;
}

const MOST = 12;

function Output({ output }) {
  const data = flat(output.data) || [];
  const isSpread = output.datatype?.startsWith("FP") && data.length > 1 && data.length <= 1000 && data.every((value) => value >= 0 && value <= 1);
  const ranked = isSpread ? data.map((value, index) => [value, index]).sort((one, other) => other[0] - one[0]).slice(0, MOST) : [];
  return html`<div class="tight"><h3 class="mono">${output.name} <span class="soft">${output.datatype} [${(output.shape || []).join(", ")}]</span></h3>
    ${isSpread ? html`<div class="outcome">${ranked.map(([value, index]) => html`<div class="outcome-row" key=${index}><span>${index}</span><meter min="0" max="1" value=${value} aria-label=${`${index}`}></meter><span class="num">${value.toFixed(4)}</span></div>`)}</div>${data.length > MOST && html`<span class="hint">and ${data.length - MOST} smaller ones</span>`}`
    : html`<pre tabindex="0">${data.slice(0, 200).map((value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value)).join(output.datatype === "BYTES" ? "\n" : ", ")}${data.length > 200 ? `, … ${data.length - 200} more` : ""}</pre>`}</div>`;
}
