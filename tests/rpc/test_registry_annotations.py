"""Annotations of versions over a registry's socket: what is said is kept, and gone with the version."""

from __future__ import annotations

import asyncio
import hashlib
import math
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors
from headrace.client import AsyncClient, Lineage, Metric
from headrace.registry.v1 import annotation_pb2
from headrace.registry.v1 import annotation_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2 as registry_pb
from headrace.registry.v1.annotation_service_pb2_grpc import AnnotationServiceStub
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.record_collections import ANNOTATIONS
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    eventually,
    onnx_file,
    push,
    running_registry,
)

NAME = "models/digits/versions/1/annotations"
DIGEST = "ab" * 32
CARD = b"# Digits\n"


def service(running: RunningRegistry) -> Any:
    """The annotation service of a registry."""
    return AnnotationServiceStub(running.channel)


async def update(running: RunningRegistry, **fields: Any) -> Any:
    """Change what is said of the first version."""
    request = pb.UpdateAnnotationsRequest(**{"name": NAME, **fields})
    return await service(running).UpdateAnnotations(request)


def put_messages(
    data: bytes, path: str = "card.md", **header: Any
) -> list[pb.PutAttachmentRequest]:
    """The messages of an attachment."""
    announced = pb.PutAttachmentRequest.Header(
        **{
            "name": NAME,
            "attachment": annotation_pb2.Attachment(path=path, media_type="text/markdown"),
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            **header,
        }
    )
    return [pb.PutAttachmentRequest(header=announced), pb.PutAttachmentRequest(chunk=data)]


async def put(
    running: RunningRegistry, data: bytes = CARD, path: str = "card.md", **header: Any
) -> Any:
    """Attach a file to the first version."""
    return await send(running, put_messages(data, path, **header))


async def send(running: RunningRegistry, messages: list[pb.PutAttachmentRequest]) -> Any:
    """Send these messages, over the blocking stack: see `push`."""

    def attach() -> Any:
        with grpc.insecure_channel(running.address) as channel:
            return AnnotationServiceStub(channel).PutAttachment(iter(messages), timeout=30)

    return await asyncio.to_thread(attach)


async def test_what_is_said_is_kept_and_changed_by_parts(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What a change does not name stays; metrics take the places of those with their keys."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        await push(running, onnx_file())
        nothing = await client.annotations("digits", 1)
        first = await client.because("measured anew").annotate(
            "digits",
            1,
            tags={"team": "vision", "old": "1"},
            metrics=[
                Metric("accuracy", 0.9, data_digest=DIGEST),
                Metric("accuracy", 0.7, "region=eu"),
            ],
            lineage=Lineage(method="train", facts={"seed": "7"}),
        )
        second = await client.annotate(
            "digits",
            1,
            tags={"team": "text"},
            remove_tags=["old", "never there"],
            description="of digits",
            metrics=[Metric("accuracy", 0.95, data_digest=DIGEST, lower=0.94, upper=0.96)],
            etag=first.etag,
        )
        found = await client.annotations("digits", 1)
        with pytest.raises(errors.Aborted, match="etag"):
            await client.annotate("digits", 1, description="late", etag=first.etag)
        logged = await client.audit(model="digits", kind="annotations")
    assert (0.0, "0", (), {}) == (nothing.updated_at, nothing.etag, nothing.metrics, nothing.tags)
    assert ({"team": "vision", "old": "1"}, 2) == (first.tags, len(first.metrics))
    assert found == second
    assert ({"team": "text"}, "of digits", "train") == (
        found.tags,
        found.description,
        found.lineage and found.lineage.method,
    )
    last = found.metric("accuracy", data_digest=DIGEST)
    assert last is not None
    assert (0.95, 0.94, 0.96) == (last.value, last.lower, last.upper)
    assert found.updated_at == last.measured_at
    assert [("annotations.update", NAME)] * 2 == [(each.kind, each.resource) for each in logged]
    assert "measured anew" == logged[1].reason


async def test_attachments_are_read_again_and_replaced(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The bytes of the one before go; those of one that was taken away are gone."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        await push(running, onnx_file())
        first = await client.attach("digits", 1, "card.md", CARD)
        large = bytes(range(256)) * 9000
        await client.attach("digits", 1, "evaluation/plot.png", large)
        second = await client.attach("digits", 1, "card.md", b"# Other\n")
        read = [
            await client.attachment("digits", 1, path)
            for path in ("card.md", "evaluation/plot.png")
        ]
        stored = running.stored_files()
        left = await client.detach("digits", 1, "card.md")
        after = running.stored_files()
        with pytest.raises(errors.NotFound, match=r"evaluation/plot\.png"):
            await client.attachment("digits", 1, "card.md")
    old, new = first.attachments[0].sha256, second.attachments[0].sha256
    assert [b"# Other\n", large] == read
    assert ("text/markdown", "image/png") == tuple(each.media_type for each in second.attachments)
    assert {new} == {old, new} & stored
    assert new not in after
    assert ["evaluation/plot.png"] == [each.path for each in left.attachments]


async def test_attachments_go_with_their_version(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing is left, unless another version has the same file; a new version starts empty."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        for bias in (1.0, 2.0):
            await push(running, onnx_file(bias))
        await client.attach("digits", 1, "card.md", CARD)
        made = await client.attach("digits", 2, "card.md", CARD)
        await client.delete_version("digits", 2)
        shared = made.attachments[0].sha256 in running.stored_files()
        await client.delete_model("digits", force=True)
        left = running.stored_files()
        await push(running, onnx_file())
        anew = await client.annotations("digits", 3)
        with pytest.raises(errors.NotFound, match="no version 1"):
            await client.annotations("digits", 1)
    assert (True, set()) == (shared, left)
    assert () == anew.attachments


async def test_attachments_live_on_over_a_restart(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A registry that starts anew has them; pushing and deleting something else leaves them alone."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        made = await put(running)
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        await push(running, onnx_file(2.0), model="other")
        await client.delete_model("other", force=True)
        found = await client.annotations("digits", 1)
        card = await client.attachment("digits", 1, "card.md")
    assert (made.etag, CARD) == (found.etag, card)


async def test_a_push_says_what_it_knows(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """It is one change with the version; what cannot be said refuses the push, before its bytes."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address) as client,
    ):
        first = await client.push("digits", onnx_file(), description="of the push")
        second = await client.push(
            "digits",
            onnx_file(2.0),
            tags={"team": "vision"},
            metrics={"accuracy": 0.9},
            lineage=Lineage(parent_version=1, method="retrain"),
        )
        said = await client.annotations("digits", 2)
        nothing = await client.annotations("digits", 1)
        with pytest.raises(errors.InvalidArgument, match="parent_version"):
            await client.push("digits", onnx_file(3.0), lineage=Lineage(parent_version=3))
        await client.annotate("digits", 1, description="said later")
        shown = [
            (await client.version("digits", 1)).description,
            (await client.versions("digits"))[1].description,
        ]
        logged = await client.audit(model="digits", kind="version")
    assert ({"team": "vision"}, ["accuracy"], 1) == (
        said.tags,
        [each.name for each in said.metrics],
        said.lineage and said.lineage.parent_version,
    )
    assert f"annotations.update {NAME.replace('1', '2')}" in logged[0].further
    assert ((), "of the push", 2) == (nothing.metrics, first.description, second.number)
    assert ["said later"] * 2 == shown


async def test_replicas_follow_without_what_is_said(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """They hold nothing of it, read a state that is whole all the same, and see no model change."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        open_redis(redis_url) as redis,
    ):
        await push(running, onnx_file())
        await update(running, set_tags={"team": "vision"})
        follower = StateFollower(redis, Keys(namespace), without=frozenset({ANNOTATIONS.name}))
        await follower.refresh()
        before = follower.catalog
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(follower.run())
            said = await update(running, set_tags={"team": "text"})
            async with asyncio.timeout(10):
                await follower.wait_for_revision(int(said.etag))
            following.cancel()
        followed = follower.catalog
        await follower.refresh()
    assert int(said.etag) == followed.revision == before.revision + 1
    assert (True, set(), {}) == (
        follower.whole,
        followed.models_differing(before),
        dict(follower.catalog.further),
    )
    with pytest.raises(LookupError, match="left out"):
        followed.of(ANNOTATIONS)


INVALID: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a tag's name": {"set_tags": {"a b": "c"}},
    "a tag of two lines": {"set_tags": {"a": "b\nc"}},
    "a long tag": {"set_tags": {"a": "b" * 257}},
    "a description": {"description": "x" * 4097},
    "a metric's name": {"set_metrics": [annotation_pb2.Metric(name="1", value=1)]},
    "not a number": {"set_metrics": [annotation_pb2.Metric(name="a", value=math.nan)]},
    "infinity": {"set_metrics": [annotation_pb2.Metric(name="a", value=math.inf)]},
    "half an interval": {"set_metrics": [annotation_pb2.Metric(name="a", value=1, lower=0)]},
    "an interval": {"set_metrics": [annotation_pb2.Metric(name="a", lower=2, upper=1)]},
    "no interval": {"set_metrics": [annotation_pb2.Metric(name="a", lower=math.nan, upper=1)]},
    "a confidence": {"set_metrics": [annotation_pb2.Metric(name="a", confidence=95)]},
    "a digest": {"set_metrics": [annotation_pb2.Metric(name="a", data_digest="abc")]},
    "rows": {"set_metrics": [annotation_pb2.Metric(name="a", rows=-1)]},
    "a parent": {"lineage": annotation_pb2.Lineage(parent_version=1)},
    "a younger parent": {"lineage": annotation_pb2.Lineage(parent_version=2)},
    "a revision": {"lineage": annotation_pb2.Lineage(source_revision="x" * 129)},
}
TOO_LARGE: dict[str, dict[str, Any]] = {
    "tags": {"set_tags": {f"t{number}": "" for number in range(10_000)}},
    "metrics": {"set_metrics": [annotation_pb2.Metric(name=f"m{number}") for number in range(513)]},
    "facts": {"lineage": annotation_pb2.Lineage(facts={f"f{number}": "" for number in range(33)})},
    "bytes": {
        "set_metrics": [
            annotation_pb2.Metric(name=f"m{number}", data_digest=DIGEST, data_name="d" * 128)
            for number in range(400)
        ]
    },
}
PATHS = ("", "../x", "/x", "a/../x", "a//b", "./a", "a\\b", "a\x00b", "con", "a.", "x" * 257)


async def test_what_cannot_be_said_is_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It says which limit, and nothing of it is kept."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        told = {what: await error_of(update(running, **fields)) for what, fields in INVALID.items()}
        large = {
            what: await error_of(update(running, **fields)) for what, fields in TOO_LARGE.items()
        }
        paths = {path: await error_of(put(running, path=path)) for path in PATHS}
        missing = await error_of(update(running, name=NAME.replace("1", "9"), set_tags={"a": "b"}))
        found = await service(running).GetAnnotations(pb.GetAnnotationsRequest(name=NAME))
        stored = running.stored_files()
    assert dict.fromkeys(INVALID, "ANNOTATIONS_INVALID") == {
        what: error.reason for what, error in told.items()
    }
    assert dict.fromkeys(TOO_LARGE, "ANNOTATIONS_TOO_LARGE") == {
        what: error.reason for what, error in large.items()
    }
    assert dict.fromkeys(PATHS, "ATTACHMENT_INVALID") == {
        path: error.reason for path, error in paths.items()
    }
    assert "VERSION_NOT_FOUND" == missing.reason
    assert ("0", 1) == (found.etag, len(stored))


async def test_other_bytes_than_announced_are_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Fewer, more or others, too many of them, or none at all: nothing is stored."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        fewer = await error_of(put(running, size_bytes=100))
        more = await error_of(put(running, size_bytes=2))
        other = await error_of(put(running, sha256=DIGEST))
        large = await error_of(put(running, size_bytes=(16 << 20) + 1))
        headless = await error_of(send(running, put_messages(CARD)[1:]))
        twice = await error_of(send(running, put_messages(CARD)[:1] * 2))
        await put(running)
        clashing = await error_of(put(running, path="CARD.md"))
        stored = running.stored_files()
    wrong = {each.reason for each in (fewer, more, other, headless, twice, clashing)}
    assert ({"ATTACHMENT_INVALID"}, "ATTACHMENT_TOO_LARGE") == (wrong, large.reason)
    assert hashlib.sha256(CARD).hexdigest() in stored
    assert 2 == len(stored)


async def test_a_file_for_a_model_that_goes_meanwhile_leaves_nothing(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The model is deleted between the announcement and the bytes."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        header, chunk = put_messages(CARD)
        call = service(running).PutAttachment()
        await call.write(header)
        await eventually(lambda: any((tmp_path / "staging").iterdir()))
        await running.stub.DeleteModel(
            registry_pb.DeleteModelRequest(name="models/digits", force=True)
        )
        await call.write(chunk)
        await call.done_writing()
        error = await error_of(call)
        left = running.stored_files()
    assert ("MODEL_NOT_FOUND", set()) == (error.reason, left)


async def test_watchers_are_told_what_is_said(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A change of annotations comes with the record as it is stored."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, onnx_file())
        watch = running.stub.WatchChanges(
            registry_pb.WatchChangesRequest(start_revision=int(version.etag))
        )
        await update(running, set_tags={"team": "vision"})
        told = await watch.read()
        watch.cancel()
    assert ("annotations.update", NAME, "annotations") == (
        told.kind,
        told.resource,
        told.record.collection,
    )
    assert '"team":"vision"' in told.record.json
