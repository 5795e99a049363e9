"""Calls of a model of text to copy and paste: curl, Python and JavaScript, in OpenAI's form."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.model_calls.example_calls import Calls
from headrace.state.language_records import VersionKind

if TYPE_CHECKING:
    from headrace.state.language_records import LanguageFacts

_QUESTION = "What can you do?"
_TEXTS = ("The river runs through the town.", "Count twice, write once.")
_MOST_TOKENS = 64


def text_calls(
    model: str, facts: LanguageFacts, http: str, grpc: str, *, usual: bool = False
) -> Calls:
    """Calls of a model at these addresses; `usual`: they are those that a client tries by itself."""
    path, body, method = text_call(model, facts)
    url = f"http://{http}/v1/{path}"
    text = json.dumps(body)
    where = "" if usual else f'inference="{grpc}"'
    return Calls(
        curl=f"curl -s {url} -H 'Content-Type: application/json' -d {shlex.quote(text)}",
        python=f"import headrace\n\nwith headrace.Client({where}) as client:\n    print({method})\n",
        javascript=(
            f"const response = await fetch({json.dumps(url)}, {{\n"
            '  method: "POST",\n  headers: { "Content-Type": "application/json" },\n'
            f"  body: JSON.stringify({text}),\n}});\nconsole.log(await response.json());\n"
        ),
    )


class TextCall(NamedTuple):
    """A call: the path of the API, its body, and the same as an expression with the Python client."""

    path: str
    body: dict[str, Any]
    method: str


def text_call(model: str, facts: LanguageFacts) -> TextCall:
    """Return a call of a model of text, of whichever kind."""
    name, texts = json.dumps(model), json.dumps(_TEXTS)
    if facts.kind is VersionKind.EMBEDDING:
        body: dict[str, Any] = {"model": model, "input": _TEXTS}
        return TextCall("embeddings", body, f"client.embed({name}, {texts}).vectors")
    if facts.kind is VersionKind.RERANK:
        body = {"model": model, "query": _QUESTION, "documents": _TEXTS}
        question = json.dumps(_QUESTION)
        return TextCall("rerank", body, f"client.rerank({name}, {question}, {texts}).results")
    if "chat" in facts.capabilities:
        messages = [{"role": "user", "content": _QUESTION}]
        body = {"model": model, "messages": messages, "max_tokens": _MOST_TOKENS}
        said = json.dumps(_QUESTION)
        return TextCall(
            "chat/completions",
            body,
            f"client.chat({name}, {said}, max_tokens={_MOST_TOKENS}).text",
        )
    body = {"model": model, "prompt": _TEXTS[0], "max_tokens": _MOST_TOKENS}
    said = json.dumps(_TEXTS[0])
    method = f"client.generate({name}, {said}, max_tokens={_MOST_TOKENS}).text"
    return TextCall("completions", body, method)
