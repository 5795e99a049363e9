"""Sealed artifacts in a real server of S3: the registry seals, replicas open, the server knows nothing."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from headrace import AsyncClient, errors
from headrace.artifacts.sealing import CHUNK_BYTES, sealed_bytes
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.service.object_store import ObjectStore, blob_key
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    eventually,
    external_data_files,
    onnx_file,
    push,
    read_blob,
    running_registry,
    zip_of,
)
from tests.rpc.test_inference_cache import replica
from tests.rpc.test_object_store import Bucket, S3Server, bucket_at, s3_server
from tests.rpc.test_registry_references import service, set_one
from tests.unit.headrace.artifacts.test_sealing import key_file

DIGEST = hashlib.sha256(onnx_file()).hexdigest()
NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """One for all tests here."""
    with s3_server() as running:
        yield running


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of the test's own."""
    return bucket_at(server, monkeypatch)


def stored(bucket: Bucket, digest: str) -> bytes:
    """What the server has of a blob."""
    with urlopen(f"{bucket.address}/{bucket.name}/models/{blob_key(digest)}") as answer:
        return bytes(answer.read())


async def test_a_replica_opens_what_the_registry_sealed(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """By itself, where it has the key; through the registry, where it has none."""
    key = key_file(tmp_path, os.urandom(32))
    sealing = {"blob_store": bucket.url, "seal_key_file": key}
    async with running_registry(redis_url, namespace, tmp_path / "data", **sealing) as running:
        await push(running, onnx_file())
        blob = stored(bucket, DIGEST)
        for name, address, changes in (
            ("with", NOBODY, sealing),
            ("without", running.address, {"blob_store": bucket.url}),
        ):
            async with (
                replica(redis_url, namespace, tmp_path / name, address, **changes),
                AsyncClient(registry=running.address) as client,
            ):
                await client.wait_until_ready("digits", 1, timeout_seconds=30)
                (cached,) = (tmp_path / name / "artifacts" / "blobs").iterdir()
                assert onnx_file() == cached.read_bytes()
                assert 0o600 == cached.stat().st_mode & 0o777
    assert sealed_bytes(len(onnx_file())) == len(blob)
    assert onnx_file()[:16] not in blob


async def test_a_reference_is_sealed_as_artifacts_are(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """A replica opens it by its key; the server has nothing to read, and in the end nothing."""
    key = key_file(tmp_path, os.urandom(32))
    sealing = {"blob_store": bucket.url, "seal_key_file": key}
    async with running_registry(redis_url, namespace, tmp_path / "data", **sealing) as running:
        await push(running, onnx_file())
        made = await set_one(running)
        blob, content = stored(bucket, made.digest), await read_blob(running, made.digest)
        folder = tmp_path / "replica"
        async with replica(redis_url, namespace, folder, NOBODY, **sealing):
            await eventually((folder / "references" / made.digest).exists)
        kept = (folder / "references" / made.digest).read_bytes()
        await service(running).DeleteReference(pb.DeleteReferenceRequest(name=made.name))
        gone = await error_of(read_blob(running, made.digest))
    assert content == kept
    assert b"input x[0]" in content
    assert (sealed_bytes(len(content)), False) == (len(blob), b"input x[0]" in blob)
    assert "BLOB_NOT_FOUND" == gone.reason


async def test_parts_of_a_sealed_artifact_are_read_from_anywhere(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """So a download that broke goes on where it was."""
    files = external_data_files()
    more = random.Random(1).randbytes(2 * CHUNK_BYTES)
    key = key_file(tmp_path, os.urandom(32))
    sealing = {"blob_store": bucket.url, "seal_key_file": key}
    async with running_registry(redis_url, namespace, tmp_path / "data", **sealing) as running:
        packed = zip_of({**files, "more.bin": more})
        await push(running, packed, filename="model.zip")
        digest = hashlib.sha256(more).hexdigest()
        offsets = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, len(more) - 1, len(more)]
        rests = [await read_blob(running, digest, offset) for offset in offsets]
        past = await error_of(read_blob(running, digest, len(more) + 1))
    assert [more[offset:] for offset in offsets] == rests
    assert "OFFSET_OUT_OF_RANGE" == past.reason


async def test_touched_and_foreign_objects_are_refused_and_healed(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """A bit that was turned, an object of before, another key, none: each says so, and a push heals."""
    key = key_file(tmp_path, os.urandom(32))
    store = ObjectStore(bucket.url)
    found = []

    async def look(running: RunningRegistry) -> str:
        return (await error_of(read_blob(running, DIGEST))).reason

    sealing = {"blob_store": bucket.url, "seal_key_file": key}
    async with running_registry(redis_url, namespace, tmp_path / "data", **sealing) as running:
        await push(running, onnx_file())
        blob = stored(bucket, DIGEST)
        for wrong in (blob[:-1] + bytes([blob[-1] ^ 1]), onnx_file()):
            await store.put_bytes(blob_key(DIGEST), wrong)
            found.append(await look(running))
            await push(running, onnx_file())
            assert onnx_file() == await read_blob(running, DIGEST)
    key_file(tmp_path, os.urandom(32))
    async with running_registry(redis_url, namespace, tmp_path / "data", **sealing) as running:
        found.append(await look(running))
        await push(running, onnx_file())
        assert onnx_file() == await read_blob(running, DIGEST)
    unsealed = {"blob_store": bucket.url}
    async with running_registry(redis_url, namespace, tmp_path / "data", **unsealed) as running:
        found.append(await look(running))
    assert ["BLOB_SEAL_BROKEN"] * 2 + ["SEAL_KEY_UNKNOWN"] * 2 == found


async def test_nothing_starts_with_keys_that_cannot_be_used(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """Rather than store what is not sealed; nor with keys for a store that there is not."""
    key = key_file(tmp_path, os.urandom(32))
    key.chmod(0o644)
    sealing = {"blob_store": bucket.url, "seal_key_file": key}
    with pytest.raises(errors.InvalidArgument) as refused:
        async with running_registry(redis_url, namespace, tmp_path / "data", **sealing):
            pass
    with pytest.raises(ValueError, match="there is none"):
        async with running_registry(redis_url, namespace, tmp_path, seal_key_file=key):
            pass
    assert "SEAL_KEY_UNUSABLE" == refused.value.reason
