"""Calls of a model of text, in OpenAI's form, for the console."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from headrace.model_calls.places import KEY, CopiedCall, Place
from headrace.model_calls.text_calls import text_call
from headrace.state.language_records import LanguageFacts


def text_protocol_calls(
    model: str, version: str, place: Place, facts: LanguageFacts
) -> Iterator[CopiedCall]:
    """Calls of a version ('': that of the route)."""
    separator = "/" if version.isdigit() else "@"
    call = text_call(f"{model}{separator}{version}" if version else model, facts)
    url, body = f"{place.url}/v1/{call.path}", json.dumps(call.body)
    key = f' -H "Authorization: Bearer {KEY}"' if place.needs_key else ""
    json_type = "'Content-Type: application/json'"
    code = f"curl -s {url}{key} -H {json_type} -d {shlex.quote(body)}"
    yield CopiedCall("curl", "sh", code)
    method = _of_version(text_call(model, facts).method, version)
    yield CopiedCall("Python", "python", _python(method, place))
    headers = '"Content-Type": "application/json"'
    headers += ", Authorization: `Bearer ${key}`" if place.needs_key else ""
    yield CopiedCall(
        "JavaScript",
        "javascript",
        f"const response = await fetch({json.dumps(url)}, {{\n"
        f'  method: "POST",\n  headers: {{ {headers} }},\n'
        f"  body: JSON.stringify({body}),\n}});\nconsole.log(await response.json());\n",
    )
    yield CopiedCall("OpenAI's client", "python", _openai(call.path, body, place))


def _of_version(method: str, version: str) -> str:
    """The expression with the version as its last argument, if there is one."""
    if not version:
        return method
    call, _, attribute = method.rpartition(").")
    number = version if version.isdigit() else json.dumps(version)
    return f"{call}, version={number}).{attribute}"


def _python(method: str, place: Place) -> str:
    key = ', token_file="headrace.key"' if place.needs_key else ""
    return (
        "import headrace\n\n"
        f"with headrace.Client(inference={json.dumps(place.grpc_address)}{key}) as client:\n"
        f"    print({method})\n"
    )


_OPENAI = {
    "chat/completions": "chat.completions.create",
    "completions": "completions.create",
    "embeddings": "embeddings.create",
    "rerank": "post",
}


def _openai(path: str, body: str, place: Place) -> str:
    method = _OPENAI[path]
    arguments = f'"/{path}", body={body}, cast_to=object' if method == "post" else f"**{body}"
    key = "key" if place.needs_key else '"none"'
    return (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{place.url}/v1", api_key={key})\n'
        f"print(client.{method}({arguments}))\n"
    )
