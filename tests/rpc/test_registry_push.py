"""Pushing versions to a real registry, in good faith and in bad."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from onnx import TensorProto

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.type.v1 import serving_config_pb2, signature_pb2
from headrace_registry.domain.pushes import blob_garbage
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    error_of,
    eventually,
    external_data_files,
    folding_graph,
    header_bomb,
    hit_counting_graph,
    onnx_file,
    push,
    push_messages,
    read_blob,
    row_mixing_graph,
    running_registry,
    sequence_graph,
    tar_of,
    zip_of,
)

PLAIN = {"model.onnx": onnx_file(), "labels.txt": b"zero\none\n"}
FILES = external_data_files()
NESTED = {f"net/{name}": content for name, content in FILES.items()}
FORK = bytes.fromhex("00051607") + bytes(100)
FINDER = NESTED | {"net/.DS_Store": b"x", "__MACOSX/._net": FORK, "__MACOSX/net/._model.onnx": FORK}
"""What Finder packs of a folder."""
BSDTAR = {"._net": FORK, "net/._model.onnx": FORK} | NESTED
"""What macOS' tar packs of it."""


async def test_a_pushed_graph_becomes_version_one(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The first push makes the model; signature and config come from the graph, the route names it."""
    artifact = onnx_file()
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, artifact, header={"alias": "champion"})
        route = await running.stub.GetRoute(pb.GetRouteRequest(name="models/digits/route"))
        alias = await running.stub.GetAlias(
            pb.GetAliasRequest(name="models/digits/aliases/champion")
        )
        blob = await read_blob(running, version.files[0].sha256)
    assert version.name == "models/digits/versions/1"
    assert ["x"] == [spec.name for spec in version.signature.inputs]
    assert [-1, 4] == list(version.signature.outputs[0].shape)
    assert ["batch", ""] == list(version.signature.outputs[0].dim_names)
    assert 64 == version.serving_config.batching.max_batch_size
    assert version.serving_config.batching.allow_larger_requests
    assert 1 == route.stable_version
    assert 1 == alias.version
    assert artifact == blob


@pytest.mark.parametrize(
    ("filename", "artifact"),
    [
        ("net.zip", zip_of(FILES)),
        ("net.tar", tar_of(FILES, "w")),
        ("net.tar.gz", tar_of(FILES)),
        ("NET.TGZ", tar_of(NESTED)),
        ("nested.zip", zip_of(NESTED)),
        ("finder.zip", zip_of(FINDER)),
        ("bsdtar.tgz", tar_of(BSDTAR)),
        ("flat.tar", tar_of({"./._model.onnx": FORK} | FILES, "w")),
        (
            "volume.tar",
            tar_of(FILES | {"..2026_01_01/model.onnx": b""}, "w", {"..data": "..2026_01_01"}),
        ),
        ("dotted.tar", tar_of({f"./{name}": content for name, content in FILES.items()}, "w")),
    ],
)
async def test_an_archive_with_external_data_is_taken(
    redis_url: str, namespace: str, tmp_path: Path, filename: str, artifact: bytes
) -> None:
    """Every kind of archive gives the same files, so the same digest; a single folder around them goes."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, artifact, filename=filename)
        blobs = {file.path: await read_blob(running, file.sha256) for file in version.files}
    lines = [f"{hashlib.sha256(FILES[name]).hexdigest()}  {name}\n" for name in sorted(FILES)]
    assert blobs == FILES
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == version.digest
    assert "model.onnx" == version.graph_path


async def test_an_archive_of_two_thousand_files_is_taken(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Diffusion models bring a file for each tensor of their weights."""
    weights = {f"weights/layer_{number}": b"%d" % (number % 7) for number in range(2000)}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, tar_of(PLAIN | weights, "w"), filename="net.tar")
    assert len(PLAIN) + 2000 == len(version.files)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (TensorProto.FLOAT16, signature_pb2.DATA_TYPE_FP16),
        (TensorProto.BFLOAT16, None),  # ONNX Runtime on the CPU has no Add for it
        (TensorProto.INT64, signature_pb2.DATA_TYPE_INT64),
        (TensorProto.COMPLEX64, None),
    ],
)
async def test_the_datatype_is_read_from_the_graph(
    redis_url: str, namespace: str, tmp_path: Path, element: int, expected: int | None
) -> None:
    """What can travel is taken as what it is; what cannot, or cannot run, is refused."""
    artifact = onnx_file(element=element)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        if expected is None:
            error = await error_of(push(running, artifact))
            assert isinstance(error, errors.InvalidArgument)
        else:
            version = await push(running, artifact)
            assert expected == version.signature.inputs[0].data_type


REFUSED: list[tuple[str, str, bytes, dict[str, Any]]] = [
    ("ARTIFACT_DIGEST_MISMATCH", "m.onnx", onnx_file(), {"sha256": "0" * 64}),
    ("ARTIFACT_SIZE_MISMATCH", "m.onnx", onnx_file(), {"size_bytes": 10_000}),
    ("ARTIFACT_SIZE_MISMATCH", "m.onnx", onnx_file(), {"size_bytes": 10}),
    ("ARTIFACT_SIZE_INVALID", "m.onnx", onnx_file(), {"size_bytes": 0}),
    ("DIGEST_INVALID", "m.onnx", onnx_file(), {"sha256": "abc"}),
    ("FILENAME_UNSUPPORTED", "m.txt", onnx_file(), {}),
    ("MODEL_NOT_ONNX", "m.pkl", onnx_file(), {}),
    ("MODEL_NOT_ONNX", "m.onnx", b"\x80\x04\x95 a pickle", {}),
    ("MODEL_NOT_ONNX", "m.onnx", zip_of({"archive/data.pkl": b"", "archive/data/0": b""}), {}),
    ("MODEL_NOT_ONNX", "m.zip", zip_of({"saved_model.pb": b"", "variables/x": b""}), {}),
    ("MODEL_NAME_INVALID", "m.onnx", onnx_file(), {"parent": "models/.."}),
    ("RESOURCE_NAME_INVALID", "m.onnx", onnx_file(), {"parent": "digits"}),
    ("ALIAS_NAME_INVALID", "m.onnx", onnx_file(), {"alias": "7"}),
    ("REQUEST_ID_INVALID", "m.onnx", onnx_file(), {"request_id": "mine"}),
    ("DESCRIPTION_TOO_LONG", "m.onnx", onnx_file(), {"description": "x" * 4097}),
    ("MODEL_NOT_FOUND", "m.onnx", onnx_file(), {"create_model": False}),
    ("SERVING_CONFIG_INVALID", "m.onnx", onnx_file(), {"serving_config": {"instances": -1}}),
    (
        "BATCHING_IMPOSSIBLE",
        "m.onnx",
        onnx_file(batch=1),
        {"serving_config": {"batching": {"max_batch_size": 8}}},
    ),
    ("MODEL_REFUSED", "m.onnx", b"no onnx at all", {}),
    ("MODEL_REFUSED", "m.onnx", onnx_file()[:-20], {}),
    ("DATATYPE_UNSUPPORTED", "m.onnx", sequence_graph(), {}),
    ("MODEL_REFUSED", "m.onnx", onnx_file().replace(b"\n\x01x", b"\n\x01\xff"), {}),
    ("EXTERNAL_DATA_INVALID", "m.onnx", FILES["model.onnx"], {}),
    ("EXTERNAL_DATA_INVALID", "m.zip", zip_of(external_data_files("../weights.bin")), {}),
    ("EXTERNAL_DATA_INVALID", "m.zip", zip_of(external_data_files("/etc/passwd")), {}),
    ("EXTERNAL_DATA_INVALID", "m.zip", zip_of(external_data_files("*/_ORT_MEM_ADDR_/*")), {}),
    (
        "LANGUAGE_FILES_INVALID",
        "m.zip",
        zip_of({"model.onnx": onnx_file(), "genai_config.json": b"{"}),
        {},
    ),
    ("LANGUAGE_FILES_INVALID", "m.onnx", onnx_file(), {"kind": "VERSION_KIND_GENERATION"}),
    (
        "GENERATION_UNSUPPORTED",
        "m.zip",
        zip_of(
            {"model.onnx": onnx_file(), "genai_config.json": b'{"model": {"vision": {"x": 1}}}'}
        ),
        {},
    ),
    (
        "SERVING_CONFIG_INVALID",
        "m.onnx",
        onnx_file(),
        {"serving_config": {"generation": {"max_sequences": 4}}},
    ),
    ("SERVING_CONFIG_INVALID", "m.onnx", onnx_file(), {"kind": 77}),
    ("ARCHIVE_UNSAFE_PATH", "m.zip", zip_of(PLAIN | {"../out": b""}), {}),
    ("ARCHIVE_UNSAFE_PATH", "m.tar", tar_of(PLAIN | {"/tmp/out": b""}, "w"), {}),
    ("ARCHIVE_UNSAFE_PATH", "m.tar.gz", tar_of(PLAIN | {"a/../../out": b""}), {}),
    ("ARCHIVE_UNSAFE_PATH", "m.zip", zip_of(PLAIN | {"a\\..\\out": b""}), {}),
    ("ARCHIVE_UNSAFE_PATH", "m.zip", zip_of(PLAIN | {"__MACOSX/../../out": b""}), {}),
    ("GRAPH_NOT_FOUND", "m.zip", zip_of({"__MACOSX/model.onnx": FORK, "._model.onnx": FORK}), {}),
    ("ARCHIVE_UNSAFE_ENTRY", "m.tar", tar_of(PLAIN, "w", {"w.bin": "/etc/passwd"}), {}),
    ("ARCHIVE_DUPLICATE_PATH", "m.zip", zip_of(PLAIN | {"./model.onnx": b""}), {}),
    ("ARCHIVE_DUPLICATE_PATH", "m.zip", zip_of(PLAIN | {"labels.txt/x": b""}), {}),
    ("ARCHIVE_TOO_MANY_FILES", "m.zip", zip_of({str(n): b"" for n in range(60)}), {}),
    ("ARCHIVE_TOO_LARGE", "m.zip", zip_of(PLAIN | {"big": bytes(9 << 20)}), {}),
    ("ARCHIVE_TOO_LARGE", "m.tgz", tar_of(PLAIN | {"big": bytes(9 << 20)}), {}),
    ("ARCHIVE_DAMAGED", "m.zip", b"PK no zip", {}),
    ("ARCHIVE_DAMAGED", "m.tar.gz", tar_of(PLAIN)[:-200], {}),
    ("ARCHIVE_DAMAGED", "m.tar", b"no tar", {}),
    ("ARCHIVE_DAMAGED", "m.tar.gz", header_bomb(600), {}),
    ("ARCHIVE_DUPLICATE_PATH", "m.zip", zip_of(PLAIN | {"LABELS.txt": b""}), {}),
    ("ARCHIVE_UNSAFE_PATH", "m.zip", zip_of(PLAIN | {"nul.bin": b""}), {}),
    ("GRAPH_NOT_FOUND", "m.zip", zip_of({"labels.txt": b""}), {}),
    ("GRAPH_AMBIGUOUS", "m.zip", zip_of({"a.onnx": b"", "b.onnx": b""}), {}),
    ("ARTIFACT_TOO_LARGE", "m.onnx", bytes(5 << 20), {}),
]


async def test_what_is_refused_leaves_nothing(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Each wrong or hostile push is refused by its own reason; no model, version or file is left."""
    limits = {
        "max_artifact_files": 50,
        "max_unpacked_bytes": 8 << 20,
        "max_artifact_bytes": 4 << 20,
    }
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        found = [
            await _reason(running, artifact, name, header) for _, name, artifact, header in REFUSED
        ]
        listed = await running.stub.ListModels(pb.ListModelsRequest())
        await eventually(lambda: not any((tmp_path / "staging").iterdir()))
        assert set() == running.stored_files()
    assert [reason for reason, *_ in REFUSED] == found
    assert 0 == len(listed.models)
    assert 0 == listed.revision
    assert not (tmp_path.parent / "out").exists()


async def _reason(
    running: RunningRegistry, artifact: bytes, filename: str, header: Mapping[str, Any]
) -> str:
    return (await error_of(push(running, artifact, filename=filename, header=header))).reason


@pytest.mark.parametrize(
    ("reason", "filename", "artifact", "limits"),
    [
        ("MODEL_CHECK_TIMEOUT", "m.onnx", folding_graph(4000, 500), {"check_seconds": 2.0}),
        (
            "MODEL_CHECK_OUT_OF_MEMORY",
            "m.zip",
            zip_of({"model.onnx": folding_graph(20_000, 1)}),
            {"check_memory_bytes": 400 << 20},
        ),
    ],
)
async def test_a_hostile_file_takes_only_its_checker_down(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    reason: str,
    filename: str,
    artifact: bytes,
    limits: Mapping[str, Any],
) -> None:
    """Files that hang or eat memory are refused by the limit that they hit, and the registry goes on."""
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        error = await error_of(push(running, artifact, filename=filename))
        assert set() == running.stored_files()
        version = await push(running, onnx_file())
    assert isinstance(error, errors.InvalidArgument)
    assert reason == error.reason
    assert 1 == version.number


async def test_a_caller_that_hangs_up_leaves_nothing(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A push that is cancelled half-way is forgotten: no file, no version."""
    artifact = onnx_file()
    announced = {"parent": "models/digits", "filename": "m.onnx", "create_model": True}
    announced |= {"size_bytes": len(artifact), "sha256": hashlib.sha256(artifact).hexdigest()}
    first, second = list(push_messages(artifact, announced))
    async with running_registry(redis_url, namespace, tmp_path) as running:
        call = running.stub.PushVersion()
        await call.write(first)
        await call.write(pb.PushVersionRequest(chunk=second.chunk[:10]))
        await eventually(lambda: {"pushed"} == running.stored_files())
        call.cancel()
        await eventually(lambda: not any((tmp_path / "staging").iterdir()))
        listed = await running.stub.ListModels(pb.ListModelsRequest())
    assert 0 == len(listed.models)


async def test_a_header_must_come_first_and_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A stream that is no push is refused: no header, no message, a second header."""
    header = pb.PushVersionRequest(
        header={"parent": "models/m", "filename": "m.onnx", "size_bytes": 9, "sha256": "0" * 64}
        | {"create_model": True}
    )
    streams = [[pb.PushVersionRequest(chunk=b"x")], [], [header, header]]
    async with running_registry(redis_url, namespace, tmp_path) as running:
        found = [(await error_of(running.stub.PushVersion(iter(s)))).reason for s in streams]
    assert ["PUSH_HEADER_MISSING", "PUSH_HEADER_MISSING", "PUSH_CHUNK_MISSING"] == found


async def test_a_push_wins_over_the_proposal(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What the push sets is kept, what it leaves out is proposed."""
    config = {"batching": {"preferred_batch_sizes": [8, 16]}, "instances": 3}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, onnx_file(), header={"serving_config": config})
    chosen = version.serving_config
    assert 3 == chosen.instances
    assert 64 == chosen.batching.max_batch_size
    assert [8, 16] == list(chosen.batching.preferred_batch_sizes)
    assert serving_config_pb2.PROVIDER_AUTO == chosen.provider


async def test_a_graph_that_mixes_rows_is_proposed_without_batching(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its signature looks as if it batched, its rows change one another; a push may insist all the same."""
    config = {"batching": {"max_batch_size": 8}}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, row_mixing_graph())
        insisting = await push(running, row_mixing_graph(), header={"serving_config": config})
    assert 0 == version.serving_config.batching.max_batch_size
    assert 8 == insisting.serving_config.batching.max_batch_size


async def test_a_version_says_why_it_batches_or_not(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its first notice names the decision and the node to blame, or that the push asked for it."""
    eight, none = ({"serving_config": {"batching": {"max_batch_size": n}}} for n in (8, 0))
    async with running_registry(redis_url, namespace, tmp_path) as running:
        found = [
            (await push(running, graph, header=header)).notices[0]
            for graph, header in (
                (onnx_file(), None),
                (onnx_file(), none),
                (row_mixing_graph(), None),
                (row_mixing_graph(), eight),
            )
        ]
    mixing = "node 'y' (Softmax) normalises along axis 0, over the rows"
    assert [
        "batching on: up to 64 rows share a run; each is proven to get what it gets alone",
        "batching off: as asked",
        f"batching off: {mixing}; set batching.max_batch_size to insist",
        f"batching on: up to 8 rows share a run, as asked, though {mixing}",
    ] == found


@pytest.mark.parametrize(
    ("nodes", "blamed"),
    [
        (("NonZero", "Transpose"), "output 'y' has as many rows as node 'y0' (NonZero) finds"),
        (("NonZero", "Transpose", "Cast", "Neg"), "as many rows as node 'y0' (NonZero) finds"),
        (("Unique",), "as many rows as node 'y' (Unique) finds"),
    ],
)
async def test_batching_rows_that_are_found_is_refused(
    nodes: tuple[str, ...], blamed: str, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Totals that fit by chance prove nothing: a push that asks for it hears which output it is.

    The version is taken, without batching: detectors are often pushed with a config that asks for it.
    """
    batching = {"max_batch_size": 8, "allowed_batch_sizes": [4, 8], "preserve_ordering": True}
    header = {"serving_config": {"batching": batching}}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        forced = await push(running, hit_counting_graph(*nodes), header=header)
        version = await push(running, hit_counting_graph(*nodes))
    assert "batching off: max_batch_size 8 is refused, for " in forced.notices[0]
    assert blamed in forced.notices[0]
    assert [0, 0] == [v.serving_config.batching.max_batch_size for v in (forced, version)]
    assert [] == list(forced.serving_config.batching.allowed_batch_sizes)
    assert forced.serving_config.batching.preserve_ordering
    assert "insist" not in version.notices[0]


async def test_concurrent_pushes_get_numbers_of_their_own(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Pushes at the same time, to two registries over one state, are numbered without gap or double."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "one") as one,
        running_registry(redis_url, namespace, tmp_path / "two") as two,
    ):
        pushes = [push((one, two)[n % 2], onnx_file(bias=n)) for n in range(6)]
        versions = await asyncio.gather(*pushes)
    assert [1, 2, 3, 4, 5, 6] == sorted(version.number for version in versions)


async def test_a_repeated_push_answers_as_the_first_did(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The same request_id makes one version, also at the same time; for something else it is refused."""
    header = {"request_id": str(uuid4())}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        first, second = await asyncio.gather(
            *(push(running, onnx_file(), header=header) for _ in range(2))
        )
        third = await push(running, onnx_file(), header=header)
        error = await error_of(push(running, onnx_file(bias=2), header=header))
        listed = await running.stub.ListVersions(pb.ListVersionsRequest(parent="models/digits"))
    assert first == second == third
    assert 1 == len(listed.versions)
    assert "REQUEST_ID_REUSED" == error.reason


async def test_leftovers_of_a_killed_registry_are_cleared(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What lies in staging when the registry starts is gone when it serves."""
    left = tmp_path / "staging" / "left" / "pushed"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    async with running_registry(redis_url, namespace, tmp_path) as running:
        assert set() == running.stored_files()


async def test_blobs_that_a_killed_push_stored_are_removed(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that a version names stay, though a note of them was left, and so do those of no note."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, onnx_file())
        assert [] == list((tmp_path / "storing").iterdir())
        named = running.stored_files()
    blobs = {name: blob_of(tmp_path, name) for name in ("left", "shared", "of no note")}
    for name, path in blobs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    digests = [blobs["left"].name, version.files[0].sha256]
    (tmp_path / "storing" / "killed").write_text("\n".join((*digests, "../../registry.lock")))
    (tmp_path / "storing" / "cut short").write_text(blobs["shared"].name[:40])
    monkeypatch.setattr(blob_garbage, "GRACE_SECONDS", 0.1)
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await eventually(lambda: not any((tmp_path / "storing").iterdir()))
        assert not blobs["left"].exists()
        assert named <= running.stored_files()
        assert blobs["shared"].exists()
        assert blobs["of no note"].exists()
    assert (tmp_path / "registry.lock").exists()


async def test_a_refused_commit_leaves_no_blobs(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Of two pushes at a time with one request_id, the one that comes second leaves nothing."""
    header = {"request_id": str(uuid4())}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        outcomes = await asyncio.gather(
            *(push(running, onnx_file(bias=bias), header=header) for bias in (1, 2)),
            return_exceptions=True,
        )
        (version,) = (one for one in outcomes if not isinstance(one, BaseException))
        assert {version.files[0].sha256} == running.stored_files()
        assert [] == list((tmp_path / "storing").iterdir())


def blob_of(data: Path, text: str) -> Path:
    """Where the blob with these bytes lies."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return data / "blobs" / digest[:2] / digest
