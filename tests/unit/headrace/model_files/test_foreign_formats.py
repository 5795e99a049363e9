"""Models in other formats than ONNX, told by content and by name."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from headrace import errors
from headrace.client.artifact import open_artifact
from headrace.model_files import foreign_formats
from headrace.model_files.foreign_formats import (
    ForeignFormat,
    format_of_content,
    format_of_files,
    format_of_name,
)
from tests.rpc.registry_fixtures import onnx_file

ROOT = Path(__file__).parents[4]


def safetensors() -> bytes:
    """A file with one weight, as the format's own writer makes it."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


def archive(folder: Path, *names: str) -> Path:
    """A zip with these files."""
    path = folder / "archive"
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, b"x")
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (pickle.dumps({"weights": [1.0]}), foreign_formats.PICKLE),
        (pickle.dumps([1], protocol=2), foreign_formats.PICKLE),
        (safetensors(), foreign_formats.SAFETENSORS),
        (b"\x89HDF\r\n\x1a\n" + bytes(8), foreign_formats.KERAS),
        (b"\x1c\x00\x00\x00TFL3" + bytes(8), foreign_formats.TFLITE),
        (b"GGUF\x03\x00\x00\x00", foreign_formats.GGUF),
        (b"tree\nversion=v4\n", foreign_formats.LIGHTGBM),
        (b'{"learner":{"attributes":{}}}', foreign_formats.XGBOOST),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", foreign_formats.GIT_LFS),
        (b"\n<!DOCTYPE html><html>", foreign_formats.WEB_PAGE),
        (onnx_file(), None),
        (b"nobody knows", None),
        (b"", None),
    ],
)
def test_content_tells_the_format(
    content: bytes, expected: ForeignFormat | None, tmp_path: Path
) -> None:
    """A row each: the first bytes of a file, whatever it is called."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    assert expected == format_of_content(path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("model/data.pkl", "model/data/0"), foreign_formats.PYTORCH),
        (("config.json", "model.weights.h5"), foreign_formats.KERAS),
        (("net/saved_model.pb", "net/variables/variables.index"), foreign_formats.TENSORFLOW),
        (("model.onnx", "weights.safetensors"), None),
        (("notes.txt",), None),
    ],
)
def test_archives_are_told_by_their_files(
    names: tuple[str, ...], expected: ForeignFormat | None, tmp_path: Path
) -> None:
    """A row each: a zip by the names in it; one with a graph is an ordinary archive."""
    assert expected == format_of_content(archive(tmp_path, *names))


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("net.pt", "pytorch"),
        ("net.PTH", "pytorch"),
        ("model.safetensors", "hugging-face"),
        ("iris.joblib", "scikit-learn"),
        ("frozen.pb", "keras-and-tensorflow"),
        ("net.keras", "keras-and-tensorflow"),
    ],
)
def test_names_tell_the_format(name: str, section: str) -> None:
    """A row each: the ending of a name, and the section of the page that explains the export."""
    found = format_of_name(name)

    assert found is not None
    assert section == found.section
    assert f"{foreign_formats.PAGE}#{section}" in str(found)


def test_every_section_is_on_the_page() -> None:
    """No message sends people to a heading that is not there."""
    text = (ROOT / foreign_formats.PAGE).read_text()
    headings = {
        line.removeprefix("## ").strip().lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    formats = [one for one in vars(foreign_formats).values() if isinstance(one, ForeignFormat)]

    assert set() == {one.section for one in formats if one.section} - headings
    assert len(formats) > 8


def test_folders_without_a_known_file_are_not_told() -> None:
    """Names that say nothing are left to other messages."""
    assert None is format_of_files(["README.md", "labels.txt"])


@pytest.mark.parametrize(
    ("files", "pushed", "words"),
    [
        ({"net.pkl": pickle.dumps(1)}, "net.pkl", "pickled Python object"),
        ({"net.pt": pickle.dumps(1)}, "net.pt", "PyTorch file"),
        ({"net.pth": b"anything"}, "net.pth", "torch.onnx.export"),
        ({"model.onnx": safetensors()}, "model.onnx", "optimum-cli"),
        ({"net/saved_model.pb": b"\x08\x01"}, "net", "tf2onnx"),
        ({"hf/model.safetensors": safetensors(), "hf/config.json": b"{}"}, "hf", "optimum-cli"),
    ],
)
def test_a_push_is_refused_before_it_is_sent(
    files: Mapping[str, bytes], pushed: str, words: str, tmp_path: Path
) -> None:
    """A row each: what people push, and what they are told, in one line with a page."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    with (
        pytest.raises(errors.InvalidArgument) as refused,
        open_artifact(tmp_path / pushed, lambda _: None),
    ):
        pass

    assert "MODEL_NOT_ONNX" == refused.value.reason
    assert words in refused.value.message
    assert foreign_formats.PAGE in refused.value.message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """0 bytes are what a failed export or a full disk leaves."""
    (tmp_path / "model.onnx").touch()
    with (
        pytest.raises(errors.InvalidArgument, match="is empty"),
        open_artifact(tmp_path / "model.onnx", lambda _: None),
    ):
        pass
