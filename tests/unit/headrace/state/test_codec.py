"""Records as they lie in the shared state."""

from __future__ import annotations

import json

import pytest

from headrace.errors import DataLoss
from headrace.state.codec import decode, encode, encode_sparse
from headrace.state.records import (
    AliasRecord,
    Batching,
    ModelRecord,
    Provider,
    ServingConfig,
    SessionOptions,
    VersionRecord,
)
from tests.unit.inference.doubles import SIGNATURE

LEAST = (
    b'{"model":"m","number":1,"digest":"d","files":[],"graph_path":"g",'
    b'"signature":{"inputs":[],"outputs":[]},"config":{},"created_at":1.5}'
)
DEFAULTS = {
    "model": "m",
    "number": 1,
    "digest": "d",
    "files": [],
    "graph_path": "g",
    "signature": {"inputs": [], "outputs": [], "optional_inputs": []},
    "config": {
        "batching": {
            "max_batch_size": 0,
            "max_queue_delay_microseconds": 0,
            "preferred_batch_sizes": [],
            "allowed_batch_sizes": [],
            "preserve_ordering": False,
            "allow_larger_requests": False,
            "latency_objective_microseconds": 0,
        },
        "queue": {
            "max_requests": 4096,
            "timeout_microseconds": 0,
            "timeout_action": "reject",
            "allow_timeout_override": False,
            "max_wait_microseconds": None,
        },
        "instances": 0,
        "provider": "auto",
        "session": {
            "intra_op_threads": 0,
            "inter_op_threads": 0,
            "graph_optimization": "all",
            "execution_mode": "auto",
            "cpu_memory_arena": True,
            "memory_pattern": True,
            "free_dimensions": {},
            "custom_operators": [],
            "io_binding": None,
        },
        "warm_up": {"runs": 1, "data": "zeros", "samples": []},
        "priorities": {"levels": 0, "default_level": 0, "queues": {}},
        "max_in_flight_requests": 0,
        "provider_options": {},
        "shapes": {"inputs": {}, "outputs": {}},
        "generation": {
            "max_sequences": 0,
            "kv_cache_bytes": 0,
            "prefill_tokens_per_step": 0,
            "prefix_reuse": True,
            "context_length": 0,
            "default_max_tokens": 0,
            "sampling": {
                "temperature": None,
                "top_k": None,
                "top_p": None,
                "min_p": None,
                "repetition_penalty": None,
            },
        },
        "encoding": {
            "pooling": None,
            "normalize": None,
            "max_batch_tokens": 0,
            "truncate": False,
        },
    },
    "created_at": 1.5,
    "description": "",
    "revision": 0,
    "notices": [],
    "signature_bundle": "",
    "language": None,
}


def test_the_defaults_of_records_are_part_of_what_is_stored() -> None:
    """They are left out, so another default would change versions that are stored already."""
    stored = json.loads(encode(decode(VersionRecord, LEAST)))
    assert DEFAULTS == {name: stored[name] for name in DEFAULTS}
    model = json.loads(encode(decode(ModelRecord, b'{"name":"m","created_at":1.5}')))
    assert {
        "name": "m",
        "created_at": 1.5,
        "description": "",
        "labels": {},
        "keep_latest": 1,
        "last_number": 0,
        "aliases": {},
        "route": None,
        "revision": 0,
        "pinned": False,
        "protected": False,
        "gate": None,
    } == model


def test_a_record_is_stored_without_its_defaults_and_read_as_it_was() -> None:
    """What is not the default is kept, at every depth."""
    assert LEAST == encode_sparse(decode(VersionRecord, LEAST))
    config = ServingConfig(
        batching=Batching(max_batch_size=8, allowed_batch_sizes=(2, 8)),
        session=SessionOptions(cpu_memory_arena=False, io_binding=False, free_dimensions={"n": 0}),
        provider_options={Provider.CUDA: {"a": ""}},
    )
    record = VersionRecord("m", 2, "d", (), "g", SIGNATURE, config, 0.0, notices=("batching on",))
    stored = encode_sparse(record)
    assert record == decode(VersionRecord, stored)
    assert len(stored) < len(encode(record)) / 2


def test_a_model_with_many_aliases_is_stored_as_it_is() -> None:
    """Looking at each of them would take longer than all else that a change does."""
    aliases = {f"a{place}": AliasRecord(1, 2.5, place) for place in range(1000)}
    model = ModelRecord("m", 1.5, aliases=aliases)
    assert model == decode(ModelRecord, encode_sparse(model))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", LEAST.replace(b'"m"', b'"\xff"')])
def test_what_is_no_record_is_said_to_be_unreadable(data: bytes) -> None:
    """Also where a text is not UTF-8, which versions of msgspec raise in different classes."""
    with pytest.raises(DataLoss) as caught:
        decode(VersionRecord, data)
    assert "STATE_UNREADABLE" == caught.value.reason
