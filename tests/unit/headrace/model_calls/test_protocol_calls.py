"""Calls to copy: what they say of a model, its version, its address and its key."""

from __future__ import annotations

import ast
import json
import shlex

import pytest

from headrace.datatype_names import Datatype
from headrace.model_calls.example_inputs import ExampleTensor
from headrace.model_calls.places import Place
from headrace.model_calls.protocol_calls import protocol_calls, request_of
from headrace.model_calls.text_protocol_calls import text_protocol_calls
from headrace.state.language_records import LanguageFacts, VersionKind

PLAIN = Place("127.0.0.1:8000", "127.0.0.1:8001")
SECURE = Place("models.example:8443", "models.example:8443", is_tls=True, needs_key=True)
SMALL = (
    ExampleTensor("x", Datatype.FP32, (1, 2), 0.5),
    ExampleTensor("who's", Datatype.BYTES, (1,), "é"),
)
LARGE = (ExampleTensor("x", Datatype.INT64, (1, 500), 1),)
TEXTS = LanguageFacts(VersionKind.GENERATION, "llama", 128, 100, "", capabilities=("chat",))


def codes(place: Place, inputs: tuple[ExampleTensor, ...], version: str = "") -> dict[str, str]:
    """The code of each call by its title."""
    return {call.title: call.code for call in protocol_calls("m", version, place, inputs, ("y",))}


def test_all_languages_say_the_same_request() -> None:
    """What curl sends is the example; what is Python is Python; BYTES travel as base64 over gRPC."""
    found = codes(PLAIN, SMALL)
    curl, grpcurl = shlex.split(found["curl"]), shlex.split(found["grpcurl"])
    assert ["curl", "Python", "JavaScript", "grpcurl", "tritonclient"] == [*found]
    assert "http://127.0.0.1:8000/v2/models/m/infer" == curl[2]
    assert request_of(SMALL) == json.loads(curl[curl.index("-d") + 1])
    sent = json.loads(grpcurl[grpcurl.index("-d") + 1])
    assert [{"fp32_contents": [0.5, 0.6]}, {"bytes_contents": ["w6k="]}] == [
        each["contents"] for each in sent["inputs"]
    ]
    for title in ("Python", "tritonclient"):
        ast.parse(found[title])
    assert "np.array([[0.5, 0.6]], dtype=np.float32)" in found["tritonclient"]


def test_a_long_input_is_written_by_what_calls() -> None:
    """Nobody copies 500 numbers."""
    found = codes(PLAIN, LARGE)
    assert all(len(code) < 800 for code in found.values())
    assert "[1] * 500" in found["curl"]
    assert "Array(500).fill(1)" in found["JavaScript"]
    assert "| grpcurl -plaintext -d @ 127.0.0.1:8001" in found["grpcurl"]
    assert "np.full([1, 500], 1, dtype=np.int64)" in found["tritonclient"]


def test_a_version_a_key_and_tls_are_in_every_call() -> None:
    """By number or by alias; no secret is in them."""
    found = codes(SECURE, SMALL, "3")
    assert "https://models.example:8443/v2/models/m/versions/3/infer" in found["curl"]
    assert 'Bearer $HEADRACE_KEY"' in found["curl"]
    assert 'inference="grpcs://models.example:8443", token_file="headrace.key"' in found["Python"]
    assert ", version=3)" in found["Python"]
    assert "-plaintext" not in found["grpcurl"]
    assert "ssl=True" in found["tritonclient"]


@pytest.mark.parametrize(
    ("datatype", "titles"),
    [
        (Datatype.FP16, ["Python", "tritonclient"]),
        (Datatype.BF16, ["Python"]),
    ],
)
def test_what_cannot_say_a_datatype_is_left_out(datatype: Datatype, titles: list[str]) -> None:
    """JSON has no halves."""
    assert titles == [*codes(PLAIN, (ExampleTensor("x", datatype, (1,), 0.5),))]


@pytest.mark.parametrize(("version", "model"), [("", "m"), ("3", "m/3"), ("prod", "m@prod")])
def test_a_model_of_text_is_called_as_openais_are(version: str, model: str) -> None:
    """The version is in the model's name."""
    found = {call.title: call.code for call in text_protocol_calls("m", version, PLAIN, TEXTS)}
    curl = shlex.split(found["curl"])
    assert "http://127.0.0.1:8000/v1/chat/completions" == curl[2]
    assert model == json.loads(curl[curl.index("-d") + 1])["model"]
    for title in ("Python", "OpenAI's client"):
        ast.parse(found[title])
