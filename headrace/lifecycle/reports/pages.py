"""Writes pages of HTML: one file without a script, for screens, dark ones too, and for paper.

Texts are escaped here: what others wrote, such as names of columns, stays text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:.5rem 0;display:block;overflow-x:auto}
td,th{padding:.15rem .7rem;text-align:left;border-bottom:1px solid var(--soft)}
td.n{text-align:right;font-variant-numeric:tabular-nums}
figure{display:inline-block;margin:.5rem;vertical-align:top}
figure img{max-width:100%;background:#fff;border-radius:4px}figcaption{font-size:.85rem}
.warn{border-left:3px solid #d29922;padding:.2rem .8rem;margin:.3rem 0;background:var(--soft)}
.note{opacity:.75}.text{font-size:1.1rem;line-height:2}
mark{padding:.15em .1em;border-radius:.2em;color:inherit}
@media print{body{margin:0;max-width:none}figure,tr{break-inside:avoid}}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A page with a title, and parts that are HTML already."""
    shown = escape(title)
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{shown}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body><h1>{shown}</h1>",
            *filter(None, parts),
            "</body></html>\n",
        ]
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table, without a head if there are no headings; numbers are aligned to the right."""
    heading = "".join(f"<th>{escape(each)}</th>" for each in headings)
    lines = [f"<tr>{heading}</tr>"] if heading else []
    lines += (f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{''.join(lines)}</table>"


def figure(png: bytes, title: str) -> str:
    """A PNG inside the page, with its title below; nothing where there is none."""
    if not png:
        return ""
    data, shown = base64.b64encode(png).decode(), escape(title)
    return (
        f'<figure><img alt="{shown}" src="data:image/png;base64,{data}">'
        f"<figcaption>{shown}</figcaption></figure>"
    )


def warning(text: str) -> str:
    """A line that stands out."""
    return f'<div class="warn">{escape(text)}</div>'


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    is_number = text[:1].isdigit() or (text[:1] in "+-" and text[1:2].isdigit())
    kind = ' class="n"' if is_number else ""
    return f"<td{kind}>{escape(text)}</td>"
