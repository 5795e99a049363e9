"""An OpenAPI document as one page of HTML that needs nothing from anywhere else: no scripts, no fonts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 3.5rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: 6px; padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; }
"""

_VERBS = ("get", "post")


def page_of(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])} For programs: <a href='openapi.json'>openapi.json</a>.</p>",
        *_operations(document["paths"]),
        "<h2>Schemas</h2>",
        *_schemas(document["components"]["schemas"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    tag = ""
    for path, operations in paths.items():
        for verb in _VERBS:
            if verb in operations:
                operation = operations[verb]
                if operation["tags"][0] != tag:
                    tag = operation["tags"][0]
                    yield f"<h2>{escape(tag)}</h2>"
                yield _operation(verb, path, operation)


def _operation(verb: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (parameter["name"], f"{parameter['in']}: {parameter['description']}")
        for parameter in operation["parameters"]
    ]
    if "requestBody" in operation:
        rows.append(("Body", _content(operation["requestBody"])))
    rows += [
        (status, f"{response['description']} {_content(response)}")
        for status, response in operation["responses"].items()
    ]
    table = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows
    )
    return (
        f"<details><summary><b>{verb.upper()}</b> <code>{escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><table>{table}</table></details>"
    )


def _content(described: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{media}: {content['schema']['$ref'].rpartition('/')[2]}"
        for media, content in described.get("content", {}).items()
    )


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
        yield (
            f"<details><summary><code>{escape(name)}</code></summary>"
            f"<pre>{escape(text)}</pre></details>"
        )
