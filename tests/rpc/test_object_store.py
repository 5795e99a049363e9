"""Artifacts in a store of objects: a real server of S3, the registry that writes, replicas that read."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import grpc
import numpy as np
import pytest

from headrace import AsyncClient, errors, status
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.service.object_store import ObjectStore, blob_key, url_problem
from headrace.state.records import LoadState
from headrace_registry.domain.pushes import blob_garbage
from tests.rpc.registry_fixtures import eventually, onnx_file, push, running_registry
from tests.rpc.test_inference_cache import replica

ROW = np.zeros((1, 4), np.float32)
DIGEST = hashlib.sha256(onnx_file()).hexdigest()


@dataclass(frozen=True)
class S3Server:
    """A server of S3 in a process of its own."""

    address: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """End it, and wait for its end."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server, by its name."""

    name: str
    address: str

    @property
    def url(self) -> str:
        """Where artifacts go."""
        return f"s3://{self.name}/models"

    def objects(self) -> str:
        """What the server lists of it."""
        with urlopen(f"{self.address}/{self.name}?list-type=2") as answer:
            return str(answer.read().decode())


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server of S3, which takes a second or two to start."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "Running on http" in line)
        reading = threading.Thread(target=process.stderr.read)  # or its log would stop it
        reading.start()
        try:
            yield S3Server(f"http://127.0.0.1:{int(line.rpartition(':')[2])}", process)
        finally:
            process.kill()
            reading.join()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """One for all tests that do not end it."""
    with s3_server() as running:
        yield running


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of the test's own."""
    return bucket_at(server, monkeypatch)


def bucket_at(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket; the environment says where its server is, as S3's own tools are told."""
    for name, value in {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(f"bucket-{uuid4().hex}", server.address)
    urlopen(Request(f"{server.address}/{bucket.name}", method="PUT")).close()
    return bucket


async def test_replicas_read_what_the_registry_stored(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """The bytes are in the store alone, and a replica needs no registry to have them."""
    async with running_registry(
        redis_url, namespace, tmp_path / "registry", blob_store=bucket.url
    ) as running:
        await push(running, onnx_file())
        assert set() == running.stored_files()
        assert f"models/{blob_key(DIGEST)}" in bucket.objects()
        nobody = "127.0.0.1:9"
        async with (
            replica(
                redis_url, namespace, tmp_path / "replica", nobody, blob_store=bucket.url
            ) as found,
            AsyncClient(
                registry=running.address, inference=found.fronts.addresses()["grpc"]
            ) as client,
        ):
            await client.wait_until_ready("digits", 1, timeout_seconds=30)
            answer = await client.infer("digits", {"x": ROW})
    assert "1" == str(answer.model_version)


async def test_a_replica_falls_back_on_the_registry(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """A replica that is told of another store gets its artifacts all the same."""
    async with running_registry(
        redis_url, namespace, tmp_path / "registry", blob_store=bucket.url
    ) as running:
        await push(running, onnx_file())
        elsewhere = f"s3://{bucket.name}/elsewhere"
        async with (
            replica(
                redis_url, namespace, tmp_path / "replica", running.address, blob_store=elsewhere
            ),
            AsyncClient(registry=running.address) as client,
        ):
            await client.wait_until_ready("digits", 1, timeout_seconds=30)
            (seen,) = await client.replicas()
    assert [LoadState.READY] == [version.state for version in seen.versions]


async def test_what_nothing_names_is_removed(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """Deleting a version removes its object, but for those that others name."""
    async with running_registry(redis_url, namespace, tmp_path, blob_store=bucket.url) as running:
        await push(running, onnx_file())
        await push(running, onnx_file(), model="same")
        delete = pb.DeleteModelRequest(name="models/digits", force=True)
        await running.stub.DeleteModel(delete)
        assert DIGEST in bucket.objects()
        await running.stub.DeleteModel(pb.DeleteModelRequest(name="models/same", force=True))
        assert DIGEST not in bucket.objects()


async def test_altered_objects_are_found_and_healed(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """Who reads one is told, and the next push of the same bytes writes it anew."""
    async with running_registry(redis_url, namespace, tmp_path, blob_store=bucket.url) as running:
        await push(running, onnx_file())
        store = ObjectStore(bucket.url)
        await store.put_bytes(blob_key(DIGEST), b"\0" + onnx_file()[1:])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [part async for part in running.stub.ReadBlob(pb.ReadBlobRequest(sha256=DIGEST))]
        await push(running, onnx_file())
        read = [part async for part in running.stub.ReadBlob(pb.ReadBlobRequest(sha256=DIGEST))]
        assert onnx_file() == b"".join(part.chunk for part in read)
        rest = running.stub.ReadBlob(pb.ReadBlobRequest(sha256=DIGEST, offset=10))
        assert onnx_file()[10:] == b"".join([part.chunk async for part in rest])
    assert "BLOB_DAMAGED" == status.error_from_rpc(caught.value).reason


async def test_a_store_that_is_away(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushes are refused with the reason, reads of the catalog go on, and nothing half-made stays."""
    monkeypatch.setattr("headrace.service.object_store._RETRY_SECONDS", 0.2)
    monkeypatch.setattr(blob_garbage, "GRACE_SECONDS", 0.2)
    with s3_server() as server:
        bucket = bucket_at(server, monkeypatch)
        opening = running_registry(redis_url, namespace, tmp_path, blob_store=bucket.url)
        async with opening as running:
            await push(running, onnx_file())
            server.kill()
            with pytest.raises(grpc.RpcError) as caught:
                await push(running, onnx_file(bias=2.0))
            asked = pb.ListVersionsRequest(parent="models/digits")
            versions = await running.stub.ListVersions(asked)
            await eventually(lambda: not list((tmp_path / "staging").iterdir()))
    assert "BLOB_STORE_UNAVAILABLE" == status.error_from_rpc(caught.value).reason
    assert bucket.url in status.error_from_rpc(caught.value).message
    assert 1 == len(versions.versions)


async def test_a_bucket_that_is_not_there(
    redis_url: str, namespace: str, tmp_path: Path, bucket: Bucket
) -> None:
    """The registry does not start without it, and says what to check."""
    opening = running_registry(redis_url, namespace, tmp_path, blob_store="s3://another/x")
    with pytest.raises(errors.FailedPrecondition, match="bucket") as caught:
        await opening.__aenter__()
    assert "BLOB_STORE_REFUSED" == caught.value.reason


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("s3://bucket", True),
        ("gs://bucket/a/b", True),
        ("az://account/container", True),
        ("s3://", False),
        ("bucket/prefix", False),
        ("http://bucket/prefix", False),
    ],
)
def test_urls(url: str, *, is_right: bool) -> None:
    """Those of three providers are taken, and others are refused with what is allowed."""
    assert is_right == (not url_problem(url))
