// The alerts of one model.
import { html } from "./vendor/preact.js";
import { AlertList } from "./page_alerts.js";

export default function ModelAlerts({ name, model, place, me }) {
  return html`<${AlertList} place=${place} me=${me} model=${name} rights=${model.may} />`;
}
