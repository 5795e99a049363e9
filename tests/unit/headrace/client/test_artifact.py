"""What a push makes of a path."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace import errors
from headrace.client.artifact import CHUNK_BYTES, Progress, Source, open_artifact


def graph_with_external_data(folder: Path, location: str) -> Path:
    """A model that keeps its weights in `location`, written to folder/net.onnx."""
    weights = numpy_helper.from_array(np.zeros((2, 2), dtype=np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [value], [result], [weights]))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], location)
    model.graph.initializer[0].ClearField("raw_data")
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def pushed(source: Source) -> tuple[str, bytes]:
    """The name and the bytes that are sent for a source, checked against its size and digest."""
    reports: list[Progress] = []
    with open_artifact(source, reports.append) as artifact:
        digest = artifact.sha256(reports.append)
        chunks = list(artifact.chunks("sending", reports.append))
        content = b"".join(chunks)
        assert artifact.size_bytes == len(content)
    assert digest == hashlib.sha256(content).hexdigest()
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert reports[-1] == Progress("sending", len(content), len(content))
    return artifact.filename, content


def names_in(content: bytes) -> list[str]:
    """The members of a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def test_one_file_travels_as_it_is(tmp_path: Path) -> None:
    """A graph without external data, larger than a chunk, is sent byte by byte under its name."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\xff" * (CHUNK_BYTES * 2 + 5))

    assert pushed(path) == ("net.onnx", path.read_bytes())


def test_bytes_are_a_graph() -> None:
    """A graph that was never a file is sent as model.onnx."""
    assert pushed(b"abc") == ("model.onnx", b"abc")


def test_a_folder_is_packed_whole(tmp_path: Path) -> None:
    """Every file of a folder is in the archive, hidden ones too, by its relative path."""
    for name in ("model.onnx", "data/weights.bin", ".labels"):
        (tmp_path / "net" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "net" / name).write_bytes(name.encode())

    filename, content = pushed(tmp_path / "net")

    assert filename == "net.tar"
    assert [".labels", "data/weights.bin", "model.onnx"] == names_in(content)


def test_files_are_packed_under_the_paths_given(tmp_path: Path) -> None:
    """A mapping says where each file lies in the artifact; it may name a link, which is followed."""
    (tmp_path / "weights").write_bytes(b"graph")
    (tmp_path / "link").symlink_to(tmp_path / "weights")

    name, content = pushed({"model.onnx": tmp_path / "link", "y.labels.txt": tmp_path / "weights"})

    assert name == "artifact.tar"
    assert ["model.onnx", "y.labels.txt"] == names_in(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert [b"graph", b"graph"] == [_content(archive, member) for member in archive]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def test_packing_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    """The same files at another place and time have the same digest."""
    for folder in ("a/net", "b/net"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "model.onnx").write_bytes(b"1")

    first, second = (pushed(tmp_path / folder / "net") for folder in ("a", "b"))

    assert first == second


def test_external_data_travels_with_its_graph(tmp_path: Path) -> None:
    """A single .onnx that keeps weights in a file beside it is packed with that file alone."""
    graph = graph_with_external_data(tmp_path, "net.weights")
    (tmp_path / "net.weights").write_bytes(b"\0" * 16)
    (tmp_path / "unrelated.txt").write_text("no")

    filename, content = pushed(graph)

    assert filename == "net.tar"
    assert ["net.onnx", "net.weights"] == names_in(content)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("gone.bin", "EXTERNAL_DATA_MISSING"),
        ("../net.weights", "EXTERNAL_DATA_UNSAFE"),
        ("/etc/passwd", "EXTERNAL_DATA_UNSAFE"),
    ],
)
def test_external_data_elsewhere_is_refused(tmp_path: Path, location: str, expected: str) -> None:
    """A graph cannot make a push send files from outside its folder."""
    graph = graph_with_external_data(tmp_path, location)

    with pytest.raises(errors.InvalidArgument) as caught, open_artifact(graph, print):
        pass

    assert expected == caught.value.reason


def snapshot_in_a_cache(folder: Path) -> Path:
    """A model as Hugging Face's cache keeps it: links to files that are called by their digests."""
    blobs, snapshot = folder / "net" / "blobs", folder / "net" / "snapshots" / "0a1b"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    graph_with_external_data(blobs, "net.onnx_data").rename(blobs / "6e6f")
    (blobs / "7a7b").write_bytes(b"\0" * 16)
    for name, blob in (("net.onnx", "6e6f"), ("net.onnx_data", "7a7b")):
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    return snapshot


@pytest.mark.parametrize(("name", "expected"), [("net.onnx", "net.tar"), ("", "0a1b.tar")])
def test_links_of_a_cache_are_followed(tmp_path: Path, name: str, expected: str) -> None:
    """A graph, or the folder around it, is sent with what its links lead to, under the links' names."""
    snapshot = snapshot_in_a_cache(tmp_path)

    filename, content = pushed(snapshot / name)

    assert expected == filename
    assert ["net.onnx", "net.onnx_data"] == names_in(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = [_content(archive, member) for member in archive]
    assert [(snapshot / file).read_bytes() for file in ("net.onnx", "net.onnx_data")] == files


def test_a_link_to_a_graph_finds_the_data_beside_the_graph(tmp_path: Path) -> None:
    """Where external data is not beside the link, it is looked for beside what the link leads to."""
    (tmp_path / "store").mkdir()
    graph = graph_with_external_data(tmp_path / "store", "net.weights")
    (tmp_path / "store" / "net.weights").write_bytes(b"\0" * 16)
    (tmp_path / "current.onnx").symlink_to(graph)

    _, content = pushed(tmp_path / "current.onnx")

    assert ["current.onnx", "net.weights"] == names_in(content)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    """What lies below a folder that a link leads to is sent below the link's name."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "weights.bin").write_bytes(b"1")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "model.onnx").write_bytes(b"1")
    (tmp_path / "net" / "data").symlink_to(tmp_path / "store")

    assert ["data/weights.bin", "model.onnx"] == names_in(pushed(tmp_path / "net")[1])


def test_what_systems_leave_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    """macOS, git, a downloader and Kubernetes keep files of their own beside a model's."""
    names = (
        *("._model.onnx", ".DS_Store", "__MACOSX/._model.onnx", ".git/HEAD"),
        *(".cache/huggingface/model.onnx.lock", "..2026_01_01/model.onnx", "data/._x", "data/x"),
        ".labels",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "model.onnx").symlink_to("..data/model.onnx")

    assert [".labels", "data/x", "model.onnx"] == names_in(pushed(tmp_path)[1])


def _link_nowhere(folder: Path) -> None:
    (folder / "strange").symlink_to("gone")


def _link_back(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "strange").symlink_to("..")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "strange")


def _whole_cache(folder: Path) -> None:
    snapshot = snapshot_in_a_cache(folder)
    (folder / "blobs").symlink_to("net/blobs")
    (folder / "snapshots").mkdir()
    snapshot.rename(folder / "snapshots" / "strange")


@pytest.mark.parametrize("make", [_link_nowhere, _link_back, _pipe, _whole_cache])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A link that leads nowhere or back up, a pipe, a whole cache: the error names it."""
    make(tmp_path)
    opening = open_artifact(tmp_path, print)

    with pytest.raises(errors.InvalidArgument, match="strange") as caught, opening:
        pass

    assert "ARTIFACT_NOT_PLAIN" == caught.value.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone.onnx", "ARTIFACT_NOT_FOUND"),
        ("notes.txt", "ARTIFACT_KIND_UNKNOWN"),
        ("empty", "ARTIFACT_EMPTY"),
    ],
)
def test_what_is_no_artifact_is_refused(tmp_path: Path, name: str, expected: str) -> None:
    """A push of something else fails before anything is sent."""
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "empty").mkdir()

    with pytest.raises(errors.InvalidArgument) as caught, open_artifact(tmp_path / name, print):
        pass

    assert expected == caught.value.reason


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    """What the system says of a file becomes an expected error, not a traceback."""
    files = {"model.onnx": tmp_path / "missing"}
    opening = open_artifact(files, lambda _: None)
    with pytest.raises(errors.InvalidArgument, match="missing") as caught, opening:
        pass
    assert "ARTIFACT_UNREADABLE" == caught.value.reason
