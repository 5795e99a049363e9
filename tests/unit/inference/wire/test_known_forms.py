"""Requests that are compared with the forms of those before mean what they say when they are parsed."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import TensorData
from headrace_inference.wire.rest.known_forms import KnownForms
from headrace_inference.wire.rest.requests import RestRequest, parse_request

TRIES = 2000


def tensor(name: str, datatype: str, shape: list[int], data: object) -> dict[str, Any]:
    """An input."""
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


KNOWN: list[dict[str, Any]] = [
    {"inputs": [tensor("x", "FP32", [2], [1, 2])]},
    {"inputs": [tensor("x", "FP64", [2, 2], [[1, 2], [3, 4]])], "id": "7"},
    {"inputs": [tensor("x", "INT8", [1], [1]), tensor("y", "INT64", [1], [1])]},
    {"inputs": [tensor("b", "BOOL", [2, 1], [[True], [False]])], "outputs": [{"name": "o"}]},
    {"inputs": [tensor("u", "UINT64", [1], [2**64 - 1])], "parameters": {"priority": 1}},
]


def values_of(contents: list[TensorData]) -> list[Any]:
    """The values, with their types and shapes."""
    return [
        (bytes(one), None) if isinstance(one, (bytes, memoryview)) else (one.tolist(), one.dtype)
        for one in contents
    ]


def as_parsed(body: bytes, length: int | None) -> tuple[RestRequest, list[Any]] | None:
    """The request and its values; None where it is refused."""
    try:
        request = parse_request(body, length)
        return request, values_of(request.contents(RegionTable()))
    except HeadraceError:
        return None


def check(forms: KnownForms, body: bytes, length: int | None = None) -> bool:
    """Whether the body has a form that is known; then it means the same."""
    found = forms.find("m", "", body, length)
    if found is None:
        return False
    form, given = found
    parsed = as_parsed(body, length)
    assert parsed is not None
    request, values = parsed
    said = ("id", "headers", "outputs", "binary", "binary_by_default", "options", "parameters")
    assert [getattr(request, name) for name in said] == [
        getattr(form.request, name) for name in said
    ]
    assert values == values_of(list(given))
    return True


def keep(forms: KnownForms, body: bytes, length: int | None = None) -> None:
    """Have the form of a body remembered."""
    forms.keep("m", "", body, length, parse_request(body, length))


@pytest.mark.parametrize("document", KNOWN)
def test_other_values_have_the_same_form(document: dict[str, Any]) -> None:
    """They are found, and those that are wrong are not."""
    forms = KnownForms()
    text = json.dumps(document)
    keep(forms, text.encode())
    assert check(forms, text.encode())
    data: list[Any] = document["inputs"][0]["data"]
    others: list[Any] = [data[::-1], [*data, 1], [], "text", None, [None], ["NaN"], [1e400], [{}]]
    for other in others:
        body = text.replace(json.dumps(data), json.dumps(other)).encode()
        assert (as_parsed(body, None) is not None) >= check(forms, body)


def test_a_list_that_is_also_a_shape() -> None:
    """The place of the values is known by where they are, not by what they look like."""
    forms = KnownForms()
    body = json.dumps({"inputs": [tensor("x", "INT32", [1], [1])]}).encode()
    keep(forms, body)
    assert check(forms, body)
    assert not check(forms, body.replace(b'"shape": [1]', b'"shape": [2]'))


@pytest.mark.parametrize("document", KNOWN)
def test_any_change_of_a_known_request(document: dict[str, Any]) -> None:
    """Bytes are swapped, dropped, doubled and put in, at random."""
    forms, chance = KnownForms(), random.Random(len(str(document)))  # not for secrets
    body = json.dumps(document).encode()
    keep(forms, body)
    found = 0
    for _ in range(TRIES):
        changed = bytearray(body)
        at = chance.randrange(len(changed))
        kind = chance.randrange(4)
        if kind == 0:
            changed[at] = chance.choice(b'0123456789[]{},.:"eE+- \n\\nt')
        elif kind == 1:
            del changed[at : at + chance.randrange(4)]
        elif kind == 2:
            changed[at:at] = changed[at : at + chance.randrange(20)]
        else:
            changed[at:at] = chance.choice([b"1", b"],[", b"[", b",9", b' "x"', b"-", b"1e5", b"]"])
        found += check(forms, bytes(changed))
    assert found


def test_binary_requests_with_the_same_json() -> None:
    """Each has its own tensors; another length, or other JSON, is another form."""
    forms = KnownForms()
    inputs = [
        {"name": "x", "datatype": "INT32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "y", "datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 3}},
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    keep(forms, head + bytes(11), len(head))
    assert check(forms, head + np.arange(11, dtype=np.uint8).tobytes(), len(head))
    assert not check(forms, head + bytes(12), len(head))
    assert not check(forms, head.replace(b'"x"', b'"z"') + bytes(11), len(head))
    assert forms.find("n", "", head + bytes(11), len(head)) is None


def test_what_is_kept_holds_no_values() -> None:
    """Nor grows with clients whose requests never repeat."""
    forms = KnownForms()
    for number in range(3000):
        keep(forms, json.dumps({"id": f"{number}", **KNOWN[0]}).encode())
    keep(forms, json.dumps({"inputs": [tensor("x" * 5000, "FP32", [1], [1])]}).encode())
    (kept,) = forms._json.values()
    assert {()} == {form.request.data for form in kept}
    assert (8, 1) == (len(kept), len(forms._headers))
