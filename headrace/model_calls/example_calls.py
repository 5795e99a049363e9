"""Calls of a model to copy and paste: curl, Python and JavaScript, from example inputs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from headrace.model_calls.example_inputs import ExampleTensor, Scalar

Fill = Callable[[str, int], str]
"""How a language writes so many repetitions of an expression."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The same request in three languages."""

    curl: str
    python: str
    javascript: str


def example_calls(
    model: str, http: str, grpc: str, inputs: Sequence[ExampleTensor], *, usual: bool = False
) -> Calls:
    """Calls of a model at these addresses; `usual`: they are those that a client tries by itself."""
    url = f"http://{http}/v2/models/{quote(model)}/generate"
    return Calls(
        curl=_curl(url, inputs),
        python=_python(model, "" if usual else f"inference={python_literal(grpc)}", inputs),
        javascript=_javascript(url, inputs),
    )


def _curl(url: str, inputs: Sequence[ExampleTensor]) -> str:
    if all(tensor.is_written_out for tensor in inputs):
        body = json.dumps({tensor.name: tensor.values() for tensor in inputs}, ensure_ascii=False)
        return f"curl -s {url} -d {shlex.quote(body)}"
    code = f"import json; print(json.dumps({members(inputs, python_literal, python_fill)}))"
    return f"python3 -c {shlex.quote(code)} | curl -s {url} -d @-"


def _python(model: str, where: str, inputs: Sequence[ExampleTensor]) -> str:
    return f"""import headrace

with headrace.Client({where}) as client:
    answer = client.infer({python_literal(model)}, {members(inputs, python_literal, python_fill)})
    print(answer.outputs)
"""


def _javascript(url: str, inputs: Sequence[ExampleTensor]) -> str:
    return f"""const response = await fetch({json.dumps(url)}, {{
  method: "POST",
  body: JSON.stringify({members(inputs, json.dumps, javascript_fill)}),
}});
console.log(await response.json());
"""


def members(inputs: Sequence[ExampleTensor], literal: Callable[[object], str], fill: Fill) -> str:
    written = (f"{literal(each.name)}: {_value(each, literal, fill)}" for each in inputs)
    return f"{{{', '.join(written)}}}"


def _value(tensor: ExampleTensor, literal: Callable[[object], str], fill: Fill) -> str:
    if tensor.is_written_out:
        return literal(tensor.values())
    element: Scalar = tensor.element
    text = literal(element)
    for size in reversed(tensor.shape):
        text = fill(text, size)
    return text


def python_literal(value: object) -> str:
    """As `repr`, but with double quotes, which need no others around them in a shell."""
    if isinstance(value, list):
        return f"[{', '.join(map(python_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def python_fill(text: str, size: int) -> str:
    return f"[{text}]" if size == 1 else f"[{text}] * {size}"


def javascript_fill(text: str, size: int) -> str:
    return f"[{text}]" if size == 1 else f"Array({size}).fill({text})"
