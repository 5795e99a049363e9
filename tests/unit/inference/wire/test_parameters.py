"""The parameters of requests, inputs and outputs: kinds, ranges, and where they end up."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.scheduling.requests import (
    NO_OPTIONS,
    OutputOptions,
    SharedMemorySlice,
)
from headrace_inference.wire.codec.request_parser import RequestParser
from headrace_inference.wire.codec.request_templates import MessageHeader
from tests.unit.inference.doubles import header, served, version


def head_of(outputs: Any = (), inputs: Any = (), **parameters: Any) -> MessageHeader:
    """What the parser makes of a request with these parameters, by (kind, value)."""
    request = pb.ModelInferRequest(model_name="m")
    _set(request, parameters)
    _set(request.inputs.add(name="x", datatype="FP32", shape=[1, 2]), dict(inputs))
    if outputs:
        _set(request.outputs.add(name="y"), dict(outputs))
    return RequestParser().parse(request.SerializeToString()).header


def _set(message: Any, parameters: dict[str, Any]) -> None:
    for key, (kind, value) in parameters.items():
        setattr(message.parameters[key], f"{kind}_param", value)


def test_a_plain_request_has_no_options() -> None:
    """Nor has one with parameters that change nothing."""
    heads = [head_of(), head_of(tenant=("string", "a")), head_of(priority=("uint64", 0))]
    assert [NO_OPTIONS] * 3 == [head.options for head in heads]
    assert all(head.plain for head in heads)


@pytest.mark.parametrize("kind", ["uint64", "int64"])
def test_priority_and_timeout_reach_the_plan(kind: str) -> None:
    """The queue finds them there, whichever kind the client sends."""
    head = head_of(priority=(kind, 2), timeout=("int64", 5000))
    loaded = served(version())
    plan = loaded.plan_request([header()], [], head.options)
    loaded.close()

    assert (2, 5000, None) == (plan.priority, plan.timeout_us, plan.output_options)


def test_what_every_client_may_send_is_taken() -> None:
    """Sequences, empty final responses and custom keys are no errors."""
    head_of(
        triton_enable_empty_final_response=("bool", True),
        sequence_id=("string", "s"),
        sequence_start=("bool", True),
        custom=("double", 0.5),
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"priority": ("string", "1")},
        {"priority": ("int64", -1)},
        {"timeout": ("uint64", 1)},
        {"timeout": ("int64", -1)},
        {"custom": ("uint64", 1)},
        {"sequence_start": ("int64", 1)},
    ],
)
def test_kinds_and_ranges_of_a_request(parameters: dict[str, Any]) -> None:
    """As Triton has them."""
    with pytest.raises(HeadraceError) as caught:
        head_of(**parameters)
    assert "PARAMETER_INVALID" == caught.value.reason


def test_tensors_in_shared_memory_and_classes() -> None:
    """They are read once, with the head, and what is to be read there is known."""
    window = {
        "shared_memory_region": ("string", "r"),
        "shared_memory_byte_size": ("int64", 8),
        "shared_memory_offset": ("int64", 4),
    }
    head = head_of(inputs=window, outputs={"classification": ("int64", 3)})

    assert (SharedMemorySlice("r", 8, 4),) == head.windows
    assert (OutputOptions(classes=3),) == head.options.output_options
    assert (8, False) == (head.window_bytes, head.plain)


@pytest.mark.parametrize(
    "parameters",
    [
        {"shared_memory_region": ("string", "r")},
        {"shared_memory_byte_size": ("int64", 8)},
        {"shared_memory_offset": ("int64", 8)},
        {"shared_memory_region": ("int64", 1), "shared_memory_byte_size": ("int64", 8)},
        {"shared_memory_region": ("string", "r"), "shared_memory_byte_size": ("int64", -8)},
        {"shared_memory_region": ("string", "r"), "shared_memory_byte_size": ("string", "8")},
    ],
)
def test_kinds_and_ranges_of_a_tensor(parameters: dict[str, Any]) -> None:
    """For inputs and outputs alike."""
    for place in ("inputs", "outputs"):
        with pytest.raises(HeadraceError) as caught:
            head_of(**{place: parameters})
        assert "PARAMETER_INVALID" == caught.value.reason


def test_an_output_is_not_both_classes_and_in_shared_memory() -> None:
    """The two exclude each other, in Triton's words."""
    both = {
        "classification": ("int64", 3),
        "shared_memory_region": ("string", "r"),
        "shared_memory_byte_size": ("int64", 8),
    }
    head = head_of(outputs=both)
    loaded = served(version())
    with pytest.raises(HeadraceError, match="can't set both") as caught:
        loaded.plan_request([header()], ["y"], head.options)
    loaded.close()

    assert "CLASSIFICATION_IN_REGION" == caught.value.reason
