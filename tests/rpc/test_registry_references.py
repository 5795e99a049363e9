"""References of versions over a registry's socket: kept with the version, and gone with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.conversion.data_profiles import reference_from_proto, reference_to_proto
from headrace.data_profiles.learning import reference_of
from headrace.data_profiles.observed_rows import observed_fields
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2 as registry_pb
from headrace.registry.v1.reference_service_pb2_grpc import ReferenceServiceStub
from headrace.type.v1 import profile_pb2
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    onnx_file,
    push,
    read_blob,
    running_registry,
)

PARENT = "models/digits/versions/1"
NAME = f"{PARENT}/reference"
REJECT = profile_pb2.FieldSchema.ENFORCEMENT_REJECT
FLAG = profile_pb2.FieldSchema.ENFORCEMENT_FLAG
COUNT = profile_pb2.FieldSchema.ENFORCEMENT_COUNT


def reference(seed: int = 1, origin: str = "rows.csv") -> profile_pb2.Reference:
    """A reference of 500 rows of the input `x`."""
    rows = np.random.default_rng(seed).normal(size=(500, 4))
    made = reference_of(observed_fields({"x": rows}, {}), 500, origin=origin, created_at=5.0)
    return reference_to_proto(made)


def service(running: RunningRegistry) -> Any:
    """The reference service of a registry."""
    return ReferenceServiceStub(running.channel)


async def set_one(running: RunningRegistry, version: int = 1, **fields: Any) -> Any:
    """Set the reference of a version."""
    parent = f"models/digits/versions/{version}"
    given: dict[str, Any] = {"reference": reference()} if "from_version" not in fields else {}
    return await service(running).SetReference(
        pb.SetReferenceRequest(parent=parent, **(given | fields))
    )


async def get(running: RunningRegistry, version: int = 1) -> Any:
    """Get the reference of a version."""
    name = f"models/digits/versions/{version}/reference"
    return await service(running).GetReference(pb.GetReferenceRequest(name=name))


async def test_a_reference_is_kept_with_its_version(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What was set is read again, named by the digest of its bytes, which are a blob."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        made = await set_one(running)
        found = await get(running)
        blob = await read_blob(running, made.digest)
        changes = await running.stub.ListChanges(
            registry_pb.ListChangesRequest(model="models/digits")
        )
    given, kept = (reference_from_proto(each) for each in (reference(), found.reference))
    assert (made.name, made.rows, made.fields, made.size_bytes) == (NAME, 500, 4, len(blob))
    assert made.digest == found.reference.layout.reference == found.reference.profile.reference
    assert (given.layout.fields, given.schema) == (kept.layout.fields, kept.schema)
    assert (kept.origin, kept.created_at) == ("rows.csv", 5.0)
    assert [counts.tolist() for counts in given.profile.counts.values()] == [
        counts.tolist() for counts in kept.profile.counts.values()
    ]
    assert "reference.set" == changes.changes[0].kind


async def test_a_reference_takes_the_place_of_another(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The bytes of the one before go, and an etag of it is outdated; a deleted one is gone."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        first = await set_one(running)
        second = await set_one(running, reference=reference(2), etag=first.etag)
        error = await error_of(set_one(running, etag=first.etag))
        stored = running.stored_files()
        await service(running).DeleteReference(pb.DeleteReferenceRequest(name=NAME))
        gone = await error_of(get(running))
        left = running.stored_files()
    assert first.digest != second.digest
    assert {first.digest, second.digest} & stored == {second.digest}
    assert ("ETAG_MISMATCH", "REFERENCE_NOT_FOUND") == (error.reason, gone.reason)
    assert second.digest not in left


async def test_a_version_takes_its_reference_with_it(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing of it is left, unless another version has the same."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for bias in (1.0, 2.0):
            await push(running, onnx_file(bias))
        made = await set_one(running, 2)
        copied = await set_one(running, 1, from_version=2)
        delete = running.stub.DeleteVersion
        await delete(registry_pb.DeleteVersionRequest(name="models/digits/versions/2"))
        shared = made.digest in running.stored_files()
        await running.stub.DeleteModel(
            registry_pb.DeleteModelRequest(name="models/digits", force=True)
        )
        left = running.stored_files()
    assert (made.digest, "version 2, rows.csv") == (copied.digest, copied.reference.origin)
    assert (True, set()) == (shared, left)


async def test_what_is_enforced_changes_by_field(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Fields that are not named stay; the bins and their digest do, too; a new reference keeps it."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        made = await set_one(running)
        enforce = service(running).UpdateEnforcement
        fields = {"input x[0]": REJECT, "input x[1]": FLAG}
        await enforce(pb.UpdateEnforcementRequest(name=NAME, fields=fields))
        fields = {"input x[1]": COUNT, "input x[2]": FLAG}
        changed = await enforce(pb.UpdateEnforcementRequest(name=NAME, fields=fields))
        found = await get(running)
        anew = await set_one(running, reference=reference(2))
    assert {"input x[0]": REJECT, "input x[2]": FLAG} == dict(changed.enforcement)
    assert changed.enforcement == anew.enforcement
    assert (made.digest, REJECT) == (
        found.digest,
        found.reference.schema["input x[0]"].enforcement,
    )


@pytest.mark.toolchain
async def test_references_live_on_over_a_restart_and_collection(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A registry that starts anew has it, and a push and delete of something else leave it alone."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        made = await set_one(running)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file(2.0))
        await running.stub.DeleteVersion(
            registry_pb.DeleteVersionRequest(name="models/digits/versions/2")
        )
        found = await get(running)
    assert (made.digest, made.etag) == (found.digest, found.etag)


def _other_tensor(wrong: profile_pb2.Reference) -> None:
    wrong.layout.fields[0].tensor = "y"


def _texts_in_numbers(wrong: profile_pb2.Reference) -> None:
    wrong.layout.fields[0].kind = profile_pb2.FieldLayout.KIND_TEXT


def _no_rows(wrong: profile_pb2.Reference) -> None:
    wrong.profile.rows = 0


def _no_fields(wrong: profile_pb2.Reference) -> None:
    wrong.Clear()


def _twice(wrong: profile_pb2.Reference) -> None:
    wrong.layout.fields[1].name = wrong.layout.fields[0].name


def _descending(wrong: profile_pb2.Reference) -> None:
    wrong.layout.fields[0].aspects["value"].edges.reverse()


def _not_finite(wrong: profile_pb2.Reference) -> None:
    wrong.layout.fields[0].aspects["value"].edges[-1] = float("inf")


def _no_such_bin(wrong: profile_pb2.Reference) -> None:
    wrong.profile.counts[0].bins[-1] = 1000


def _negative(wrong: profile_pb2.Reference) -> None:
    wrong.profile.counts[0].counts[0] = -1


def _of_no_field(wrong: profile_pb2.Reference) -> None:
    wrong.profile.counts[0].field = "input z"


def _upside_down(wrong: profile_pb2.Reference) -> None:
    wrong.schema["input x[0]"].lowest = 1e9


def _no_share(wrong: profile_pb2.Reference) -> None:
    wrong.schema["input x[0]"].missing_rate = 2


def _long_origin(wrong: profile_pb2.Reference) -> None:
    wrong.origin = "x" * 300


WRONG: tuple[Callable[[profile_pb2.Reference], None], ...] = (
    _other_tensor,
    _texts_in_numbers,
    _no_rows,
    _no_fields,
    _twice,
    _descending,
    _not_finite,
    _no_such_bin,
    _negative,
    _of_no_field,
    _upside_down,
    _no_share,
    _long_origin,
)


async def test_references_that_contradict_themselves_are_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing of them is stored."""
    reasons = []
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        stored = running.stored_files()
        for break_it in WRONG:
            wrong = reference()
            break_it(wrong)
            reasons.append((await error_of(set_one(running, reference=wrong))).reason)
        left = running.stored_files()
    assert ["REFERENCE_INVALID"] * len(WRONG) == reasons
    assert stored == left
