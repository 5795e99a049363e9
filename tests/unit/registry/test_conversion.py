"""Signatures, serving configs and times between records and messages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headrace import conversion, errors
from headrace.datatypes import Datatype
from headrace.registry.v1 import version_pb2
from headrace.state import codec
from headrace.state.language_records import (
    EncodingConfig,
    GenerationConfig,
    LanguageFacts,
    Pooling,
    SamplingDefaults,
    VersionKind,
)
from headrace.state.records import (
    Batching,
    DeclaredShape,
    DeclaredShapes,
    ExecutionMode,
    GraphOptimization,
    Priorities,
    Provider,
    QueuePolicy,
    Sample,
    SampleInput,
    ServingConfig,
    SessionOptions,
    Signature,
    SyntheticData,
    TensorSpec,
    TimeoutAction,
    WarmUp,
)
from headrace.type.v1 import serving_config_pb2, signature_pb2

OTHER = ServingConfig(
    Batching(8, 5, (2, 4), (3, 8), preserve_ordering=True),
    QueuePolicy(3, 4, TimeoutAction.DELAY, allow_timeout_override=True, max_wait_microseconds=6),
    2,
    Provider.CUDA,
    SessionOptions(
        1,
        2,
        GraphOptimization.BASIC,
        ExecutionMode.SEQUENTIAL,
        cpu_memory_arena=False,
        memory_pattern=False,
        free_dimensions={"height": 224, "width": 192},
        custom_operators=("liba.so", "libb.so"),
        io_binding=False,
    ),
    WarmUp(
        0,
        SyntheticData.RANDOM,
        (
            Sample("day", {"x": SampleInput("warmup/x.npy"), "y": SampleInput(shape=(2, 3))}, 4),
            Sample("1", {"x": SampleInput(data=SyntheticData.RANDOM)}),
        ),
    ),
    Priorities(3, 2, {1: QueuePolicy(9, 0, TimeoutAction.DELAY, True, 0)}),
    77,
    {Provider.CUDA: {"use_tf32": "0"}, Provider.CPU: {"session.dynamic_block_base": "4"}},
    DeclaredShapes(
        {"x": DeclaredShape((1, -1), (-1,)), "n": DeclaredShape((1,), ())},
        {"y": DeclaredShape((-1, 3))},
    ),
    GenerationConfig(
        8,
        1 << 40,
        256,
        prefix_reuse=False,
        context_length=2048,
        default_max_tokens=512,
        sampling=SamplingDefaults(0.0, 0, 0.5, 0.25, 1.5),
    ),
    EncodingConfig(Pooling.NONE, normalize=False, max_batch_tokens=4096, truncate=True),
)


@pytest.mark.parametrize("datatype", list(Datatype))
def test_a_signature_survives_the_wire(datatype: Datatype) -> None:
    """Every datatype, free and named dimensions, scalars and unknown ranks come back as they were."""
    spec = TensorSpec("odd:name/0", datatype, (-1, 4, -1), ("batch", "", "n"))
    unranked = TensorSpec("any", datatype, (), unranked=True)
    signature = Signature((spec,), (TensorSpec("scalar", datatype, ()),), (spec, unranked))
    proto = conversion.signature_to_proto(signature)
    assert signature == conversion.signature_from_proto(proto)


def test_a_datatype_nobody_knows_is_refused() -> None:
    """A message of a newer build, or of none, is no signature."""
    proto = signature_pb2.Signature(inputs=[signature_pb2.TensorSpec(name="x")])
    with pytest.raises(errors.InvalidArgument) as caught:
        conversion.signature_from_proto(proto)
    assert "DATATYPE_UNSUPPORTED" == caught.value.reason


@pytest.mark.parametrize("config", [ServingConfig(), OTHER])
def test_a_serving_config_survives_the_wire(config: ServingConfig) -> None:
    """Written whole, a config comes back whatever the default is."""
    proto = conversion.serving_config_to_proto(config)
    for default in (ServingConfig(), OTHER):
        if config.batching.preferred_batch_sizes or not default.batching.preferred_batch_sizes:
            assert config == conversion.serving_config_from_proto(proto, default)


@pytest.mark.parametrize("config", [ServingConfig(), OTHER])
def test_a_serving_config_survives_the_shared_state(config: ServingConfig) -> None:
    """As JSON, with every field."""
    assert config == codec.decode(ServingConfig, codec.encode(config))


def test_a_config_of_an_older_build_has_the_defaults() -> None:
    """A record that was written before a field was there is served as it was then."""
    old = b'{"session": {"inter_op_threads": 2}, "warm_up": {"runs": 3}}'
    expected = ServingConfig(session=SessionOptions(inter_op_threads=2), warm_up=WarmUp(3))
    assert expected == codec.decode(ServingConfig, old)


def _with_unknown_field(message: Any) -> None:
    """Add field 1000, a number, as a newer caller may."""
    message.MergeFromString(b"\xc0\x3e\x07")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), "serving_config"),
        (("batching",), "serving_config.batching"),
        (("shapes",), "serving_config.shapes"),
    ],
)
def test_what_a_newer_caller_says_is_refused(path: tuple[str, ...], expected: str) -> None:
    """A field that is not known cannot be applied; what a registry took is read all the same."""
    proto = serving_config_pb2.ServingConfig()
    message: Any = proto
    for name in path:
        message = getattr(message, name)
    _with_unknown_field(message)
    with pytest.raises(errors.InvalidArgument) as caught:
        conversion.serving_config_from_proto(proto, ServingConfig())
    assert [expected] == [violation.field for violation in caught.value.violations]
    assert "field 1000 is not known here" in caught.value.message
    conversion.serving_config_from_proto(proto, ServingConfig(), check=False)


def test_what_is_unset_is_the_default() -> None:
    """An empty message is the default; one field changes itself alone."""
    proto = serving_config_pb2.ServingConfig()
    assert OTHER == conversion.serving_config_from_proto(proto, OTHER)
    proto.batching.preserve_ordering = False
    expected = replace(OTHER, batching=replace(OTHER.batching, preserve_ordering=False))
    assert expected == conversion.serving_config_from_proto(proto, OTHER)


PROPOSED = ServingConfig(batching=Batching(64, allow_larger_requests=True))


@pytest.mark.parametrize(
    ("batching", "expected"),
    [
        ({}, True),
        ({"preserve_ordering": True}, True),
        ({"max_batch_size": 64}, False),
        ({"max_batch_size": 8, "allow_larger_requests": True}, True),
        ({"allow_larger_requests": False}, False),
        ({"allowed_batch_sizes": [8, 64]}, False),
    ],
)
def test_larger_requests_are_allowed_where_nobody_set_a_limit(
    batching: dict[str, Any], expected: bool
) -> None:
    """Who says how large a batch may be has asked for a limit, unless a push says otherwise."""
    proto = serving_config_pb2.ServingConfig(batching=batching)
    config = conversion.serving_config_from_proto(proto, PROPOSED)
    assert expected == config.batching.allow_larger_requests


def test_larger_requests_do_not_go_with_sizes_that_are_the_only_ones() -> None:
    """A config that contradicts itself is refused, with the field."""
    batching = {"allowed_batch_sizes": [64], "allow_larger_requests": True}
    proto = serving_config_pb2.ServingConfig(batching=batching)
    with pytest.raises(errors.InvalidArgument) as caught:
        conversion.serving_config_from_proto(proto, PROPOSED)
    fields = [violation.field for violation in caught.value.violations]
    assert ["serving_config.batching.allow_larger_requests"] == fields


def test_a_client_reads_what_a_newer_registry_took() -> None:
    """Options and ranges that this build does not know are no reason to list no versions."""
    proto = serving_config_pb2.ServingConfig(instances=1000)
    proto.provider_options.cuda["of_tomorrow"] = "1"
    config = conversion.serving_config_from_proto(proto, ServingConfig(), check=False)
    assert (1000, {Provider.CUDA: {"of_tomorrow": "1"}}) == (
        config.instances,
        config.provider_options,
    )


def test_a_latency_objective_survives_the_wire() -> None:
    """It takes the place of a queue delay."""
    config = ServingConfig(Batching(8, latency_objective_microseconds=100_000))
    proto = conversion.serving_config_to_proto(config)
    assert config == conversion.serving_config_from_proto(proto, ServingConfig())


@pytest.mark.parametrize(
    ("batching", "wrong"),
    [
        (Batching(0, latency_objective_microseconds=5), "needs a version that batches"),
        (Batching(8, 1, latency_objective_microseconds=5), "cannot be set with max_queue_delay"),
        (Batching(8, latency_objective_microseconds=60_000_001), "is not between 0 and 60000000"),
    ],
)
def test_a_latency_objective_that_cannot_hold_is_refused(batching: Batching, wrong: str) -> None:
    """It needs batches, and is the only one to say how long they wait."""
    proto = conversion.serving_config_to_proto(ServingConfig(batching))
    with pytest.raises(errors.InvalidArgument) as refused:
        conversion.serving_config_from_proto(proto, ServingConfig())
    assert "batching.latency_objective" in refused.value.message
    assert wrong in refused.value.message


def test_the_longest_wait_is_unset_or_none_or_a_time() -> None:
    """Without it there is a default, by the model's speed; 0 is no limit."""
    for max_wait in (None, 0, 5):
        config = ServingConfig(queue=QueuePolicy(max_wait_microseconds=max_wait))
        proto = conversion.serving_config_to_proto(config)
        assert config == conversion.serving_config_from_proto(proto, ServingConfig())


def test_a_level_leaves_unset_what_is_as_for_all() -> None:
    """Its policy is read over the version's, and the default level is the lowest."""
    proto = serving_config_pb2.ServingConfig(max_in_flight_requests=5)
    proto.queue.max_requests = 7
    proto.priorities.levels = 3
    proto.priorities.queues[2].allow_timeout_override = True
    config = conversion.serving_config_from_proto(proto, ServingConfig())
    expected = Priorities(3, 3, {2: QueuePolicy(7, allow_timeout_override=True)})
    assert (expected, 5) == (config.priorities, config.max_in_flight_requests)


def test_everything_out_of_range_is_reported_at_once() -> None:
    """Each field that is wrong gets its violation, with its whole path."""
    message = serving_config_pb2.ServingConfig
    proto = message(
        batching=message.Batching(
            max_batch_size=65_537, preferred_batch_sizes=[4, 2], allowed_batch_sizes=[4, 8]
        ),
        priorities=message.Priorities(levels=2, default_level=3, queues={9: message.Queue()}),
        max_in_flight_requests=-1,
        queue=message.Queue(max_requests=0),
        instances=257,
        session=message.Session(intra_op_threads=-1, inter_op_threads=1025),
        warm_up=message.WarmUp(runs=1001),
    )
    proto.batching.max_queue_delay.FromMilliseconds(10_001)
    proto.queue.timeout.FromSeconds(-1)
    proto.provider = 9  # type: ignore[assignment]  # a newer build's
    with pytest.raises(errors.InvalidArgument) as caught:
        conversion.serving_config_from_proto(proto, ServingConfig(), "config")
    assert [
        "config.batching.max_batch_size",
        "config.batching.max_queue_delay",
        "config.batching.preferred_batch_sizes",
        "config.batching.allowed_batch_sizes",
        "config.queue.max_requests",
        "config.queue.timeout",
        "config.instances",
        "config.provider",
        "config.session.intra_op_threads",
        "config.session.inter_op_threads",
        "config.warm_up.runs",
        "config.priorities.default_level",
        "config.priorities.queues[9]",
        "config.max_in_flight_requests",
    ] == [violation.field for violation in caught.value.violations]


def test_times_survive_to_the_microsecond() -> None:
    """A time is the same after the wire, to what a Timestamp and a float both hold."""
    seconds = 1_764_000_000.123456
    assert seconds == conversion.timestamp_from_proto(conversion.timestamp_to_proto(seconds))


@pytest.mark.parametrize("kind", [kind for kind in VersionKind if kind is not VersionKind.TENSORS])
def test_what_is_known_of_a_version_of_text_survives_the_wire(kind: VersionKind) -> None:
    """Its kind and all that its files say come back as they were."""
    facts = LanguageFacts(
        kind,
        "llama",
        2048,
        49152,
        "a" * 64,
        92160,
        "b" * 64,
        ("chat",),
        "int4",
        384,
        Pooling.CLS,
        True,
    )
    proto = version_pb2.Version(
        kind=conversion.kind_to_proto(kind), language=conversion.language_to_proto(facts)
    )
    assert kind == conversion.kind_from_proto(proto.kind)
    assert facts == conversion.language_from_proto(kind, proto.language)


def test_a_kind_that_nobody_says_is_tensors() -> None:
    """An older registry does not say it."""
    assert VersionKind.TENSORS == conversion.kind_from_proto(version_pb2.Version().kind)


@pytest.mark.parametrize(
    ("generation", "wrong"),
    [
        ({"max_sequences": -1}, "max_sequences"),
        ({"sampling": {"temperature": 2.5}}, "sampling.temperature"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature"),
        ({"sampling": {"top_p": 0.0}}, "sampling.top_p"),
        ({"sampling": {"repetition_penalty": -1.0}}, "sampling.repetition_penalty"),
        ({"sampling": {"top_k": -1}}, "sampling.top_k"),
    ],
)
def test_settings_of_generation_have_ranges(generation: dict[str, Any], wrong: str) -> None:
    """What is out of its range is named by its path."""
    proto = serving_config_pb2.ServingConfig(generation=generation)
    with pytest.raises(errors.InvalidArgument) as refused:
        conversion.serving_config_from_proto(proto, ServingConfig())
    assert [f"serving_config.generation.{wrong}"] == [
        each.field for each in refused.value.violations
    ]
