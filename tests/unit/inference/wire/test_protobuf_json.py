"""Messages as JSON: field names, numbers, and what is shown of what is not set."""

from __future__ import annotations

from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import model_config_pb2 as config_pb
from headrace_inference.wire.rest.protobuf_json import message_to_json


def test_numbers_of_64_bits_are_numbers() -> None:
    """64-bit numbers are JSON numbers, under their proto field names."""
    document = message_to_json(pb.ModelStatistics(name="m", last_inference=2**53))
    assert (2**53, 0) == (document["last_inference"], document["inference_count"])


def test_unset_messages() -> None:
    """Messages that are not set are shown where they are asked for only, members of a oneof never."""
    statistics = pb.ModelStatistics(name="m")
    config = config_pb.ModelConfig(name="m")
    assert "inference_stats" not in message_to_json(statistics)
    shown = message_to_json(statistics, unset_too=True)["inference_stats"]
    assert {"count": 0, "ns": 0} == shown["cache_hit"]
    assert "dynamic_batching" not in message_to_json(config, unset_too=True)


def test_enums_lists_and_maps() -> None:
    """Enums are their names, repeated fields lists, maps objects."""
    config = config_pb.ModelConfig(name="m", metric_tags={"a": "b"})
    config.input.add(name="x", data_type=config_pb.TYPE_FP32, dims=[-1, 4])
    config.parameters["p"].string_value = "v"
    document = message_to_json(config)
    assert {"a": "b"} == document["metric_tags"]
    assert {"p": {"string_value": "v"}} == document["parameters"]
    assert [("TYPE_FP32", [-1, 4])] == [(i["data_type"], i["dims"]) for i in document["input"]]
