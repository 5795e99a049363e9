// Markdown of strangers as elements: a small whitelist of our own, and everything else stays text.
// Nothing here makes a page's structure of text: tags, attributes and addresses are chosen here alone.
import { h } from "./vendor/preact.js";

export const LONGEST = 262144;
const LONGEST_INLINE = 8192;
const DEEPEST = 6;
const PROTOCOLS = new Set(["http:", "https:", "mailto:"]);
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const MARK = /\\[!-/:-@[-`{-~]|`+|!?\[|<(?:https?:|mailto:)|\*\*|__|~~|[*_]|&(?:#\d{1,7}|[a-z]{2,4});/g;

// "places" says where a path that the text names leads: { href, image } or null.
export function Markdown({ text, places = () => null }) {
  const kept = text.length > LONGEST ? text.slice(0, LONGEST) : text;
  const lines = kept.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd").split("\n");
  return h("div", { class: "markdown" }, blocks(lines, { places, level: 2 }, 0));
}

const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+|$)/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?: +|$)/;
const QUOTE = /^ {0,3}> ?/;
const DASHES = /^[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)*[ \t]*:?-+:?[ \t]*\|?[ \t]*$/;
const begins = (line) => RULE.test(line) || HEADING.test(line) || FENCE.test(line) || ITEM.test(line) || QUOTE.test(line);

function blocks(lines, around, depth) {
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) { at += 1; continue; }
    const [next, node] = block(lines, at, around, depth);
    made.push(node);
    at = next;
  }
  return made;
}

function block(lines, at, around, depth) {
  const line = lines[at];
  if (depth > DEEPEST) return [lines.length, h("p", null, lines.slice(at).join("\n"))];
  if (FENCE.test(line)) return fenced(lines, at);
  if (HEADING.test(line)) return heading(line, at, around);
  if (RULE.test(line)) return [at + 1, h("hr", null)];
  if (QUOTE.test(line)) return quoted(lines, at, around, depth);
  if (ITEM.test(line)) return listed(lines, at, around, depth);
  if (line.includes("|") && lines[at + 1]?.includes("-") && lines[at + 1].length < 2000 && DASHES.test(lines[at + 1]) && cells(line).length === cells(lines[at + 1]).length) return table(lines, at, around);
  return paragraph(lines, at, around);
}

function fenced(lines, at) {
  const mark = FENCE.exec(lines[at])[1];
  const shut = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}[ \\t]*$`);
  let end = at + 1;
  while (end < lines.length && !shut.test(lines[end])) end += 1;
  return [end + 1, h("pre", { tabIndex: 0 }, h("code", null, lines.slice(at + 1, end).join("\n")))];
}

// Levels go on from those of the page, and never skip one.
function heading(line, at, around) {
  const mark = HEADING.exec(line);
  const level = Math.min(6, mark[1].length + 2, around.level + 1);
  around.level = level;
  return [at + 1, h(`h${level}`, null, inline(line.slice(mark[0].length).replace(/[ \t]+#*[ \t]*$/, ""), around))];
}

function quoted(lines, at, around, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  return [end, h("blockquote", null, blocks(lines.slice(at, end).map((each) => each.replace(QUOTE, "")), around, depth + 1))];
}

function listed(lines, at, around, depth) {
  const isNumbered = (line) => /\d/.test(ITEM.exec(line)[2]);
  const numbered = isNumbered(lines[at]);
  const items = [];
  let end = at;
  while (end < lines.length && ITEM.test(lines[end]) && isNumbered(lines[end]) === numbered && !RULE.test(lines[end])) {
    const width = ITEM.exec(lines[end])[0].length;
    const own = [lines[end].slice(width)];
    end += 1;
    while (end < lines.length && (lines[end].startsWith(" ".repeat(Math.min(width, 2))) || (!lines[end].trim() && /^ {2}/.test(lines[end + 1] || "")) || (lines[end].trim() && !begins(lines[end])))) {
      own.push(lines[end].replace(new RegExp(`^ {0,${width}}`), ""));
      end += 1;
    }
    items.push(h("li", null, tightened(blocks(own, around, depth + 1))));
    if (!lines[end]?.trim() && ITEM.test(lines[end + 1] || "")) end += 1;
  }
  return [end, h(numbered ? "ol" : "ul", null, items)];
}

// An item of one paragraph is its text.
const tightened = (nodes) => (nodes[0]?.type === "p" ? [nodes[0].props.children, ...nodes.slice(1)] : nodes);

function cells(line) {
  const found = [];
  let cell = "";
  let ticks = false;
  const text = line.trim().replace(/^\|/, "");
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === "\\" && text[index + 1] === "|") { cell += "|"; index += 1; continue; }
    if (text[index] === "`") ticks = !ticks;
    if (text[index] === "|" && !ticks) { found.push(cell.trim()); cell = ""; } else cell += text[index];
  }
  if (cell.trim() || !found.length) found.push(cell.trim());
  return found;
}

function table(lines, at, around) {
  const head = cells(lines[at]);
  let end = at + 2;
  while (end < lines.length && lines[end].trim() && lines[end].includes("|")) end += 1;
  const row = (line) => { const found = cells(line); return h("tr", null, head.map((_, index) => h("td", null, inline(found[index] || "", around)))); };
  return [end, h("div", { class: "wide", tabIndex: 0, role: "region", "aria-label": "A table" }, h("table", null, [
    h("thead", null, h("tr", null, head.map((each) => (each ? h("th", { scope: "col" }, inline(each, around)) : h("td", null))))), h("tbody", null, lines.slice(at + 2, end).map(row))]))];
}

function paragraph(lines, at, around) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !begins(lines[end])) end += 1;
  return [end, h("p", null, inline(lines.slice(at, end).map((each) => each.trim()).join("\n"), around))];
}

function inline(text, around, depth = 0) {
  if (text.length > LONGEST_INLINE || depth > DEEPEST) return [text];
  const made = [];
  let at = 0;
  let from = 0;
  MARK.lastIndex = 0;
  for (let mark = next(text, from); mark; mark = next(text, from)) {
    const found = piece(text, mark, around, depth);
    if (!found) { from = mark.index + mark[0].length; continue; }
    if (mark.index > at) made.push(text.slice(at, mark.index));
    made.push(found[1]);
    at = from = found[0];
  }
  if (at < text.length) made.push(text.slice(at));
  return made;
}

function next(text, from) {
  MARK.lastIndex = from;
  return MARK.exec(text);
}

const NESTED = { "**": "strong", __: "strong", "*": "em", _: "em", "~~": "del" };
const isWord = (letter) => Boolean(letter) && /[\p{L}\p{N}]/u.test(letter);

// Where a piece that begins at a mark ends, and what it is; null where it is only text.
function piece(text, mark, around, depth) {
  const [sign] = mark;
  const begin = mark.index;
  const after = begin + sign.length;
  if (sign[0] === "\\") return [after, sign[1]];
  if (sign[0] === "&") return entity(sign, after);
  if (sign[0] === "`") return code(text, sign, after);
  if (sign[0] === "<") return autolink(text, begin, around);
  if (sign.endsWith("[")) return linked(text, sign, after, around, depth);
  const end = text.indexOf(sign, after + 1);
  if (end < 0 || /\s/.test(text[after]) || /\s/.test(text[end - 1]) || (sign[0] === "_" && (isWord(text[begin - 1]) || isWord(text[end + sign.length])))) return null;
  return [end + sign.length, h(NESTED[sign], null, inline(text.slice(after, end), around, depth + 1))];
}

function entity(sign, after) {
  const name = sign.slice(1, -1);
  const number = name[0] === "#" ? Number(name.slice(1)) : 0;
  const letter = name[0] === "#" ? (number > 31 && number < 0x110000 && !(number >= 0xd800 && number < 0xe000) ? String.fromCodePoint(number) : "\ufffd") : ENTITIES[name];
  return letter === undefined ? null : [after, letter];
}

function code(text, sign, after) {
  let end = text.indexOf(sign, after);
  while (end >= 0 && (text[end + sign.length] === "`" || text[end - 1] === "`")) end = text.indexOf(sign, end + 1);
  return end < 0 ? null : [end + sign.length, h("code", null, text.slice(after, end).replace(/^ (.+) $/s, "$1"))];
}

function autolink(text, begin, around) {
  const end = text.indexOf(">", begin);
  const address = text.slice(begin + 1, end);
  return end < 0 || /[\s<]/.test(address) ? null : [end + 1, anchor(address, [address], around)];
}

function linked(text, sign, after, around, depth) {
  const close = text.indexOf("](", after);
  const end = close < 0 ? -1 : closing(text, close + 2);
  if (end < 0 || text.slice(after, close).includes("[")) return null;
  const [address] = text.slice(close + 2, end).trim().replace(/^<(.*)>$/, "$1").split(/\s/);
  const words = text.slice(after, close);
  return [end + 1, sign === "![" ? picture(address, words, around) : anchor(address, inline(words, around, depth + 1), around)];
}

// The parenthesis that ends an address; those within it come in pairs.
function closing(text, from) {
  let open = 1;
  for (let index = from; index < text.length; index += 1) {
    if (text[index] === "(") open += 1;
    else if (text[index] === ")" && !(open -= 1)) return index;
  }
  return -1;
}

// Pictures are files of the version; others would tell another host who looks.
function picture(address, words, around) {
  const place = around.places(address);
  return place?.image ? h("img", { src: place.href, alt: words, loading: "lazy" }) : anchor(address, [words || address], around);
}

function anchor(address, words, around) {
  const place = around.places(address);
  const href = place ? place.href : outside(address);
  return href ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }, words) : h("span", null, words);
}

function outside(address) {
  try {
    const url = new URL(address);
    return PROTOCOLS.has(url.protocol) ? url.href : "";
  } catch { return ""; }
}
