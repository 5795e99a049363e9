// Who changed what of a model.
import { html } from "./vendor/preact.js";
import { Audit } from "./page_audit.js";
import { pathOf } from "./page_model.js";

export default function History({ name, place }) {
  return html`<${Audit} path=${pathOf(name, "/audit")} place=${place} title=${`Changes of ${name}`} />`;
}
