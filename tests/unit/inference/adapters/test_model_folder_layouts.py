"""The models that are found in a folder, and what is said of one that has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from headrace.errors import FailedPrecondition, InvalidArgument
from headrace_inference.adapters.model_folder.layouts import FoundModel, find_models
from tests.e2e.models import scaling

CONFIG = 'name: "scaled"'


def lay(folder: Path, *paths: str) -> Path:
    """A folder with these files: graphs, configs, or folders."""
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir()
        elif path.endswith(".onnx"):
            target.write_bytes(scaling(2))
        else:
            target.write_text(CONFIG if path.endswith(".pbtxt") else path)
    return folder


def found_in(folder: Path, name: str = "") -> Mapping[str, list[int]]:
    """The models by name, with the numbers of their versions."""
    return {model.name: list(model.read()) for model in find_models(folder, name)}


@pytest.mark.parametrize(
    ("paths", "name", "expected"),
    [
        (["model.onnx"], "", {"models": [1]}),
        (["model.onnx"], "mine", {"mine": [1]}),
        (["net.onnx", "notes.txt"], "mine", {"mine": [1]}),
        (["model.onnx", "other.onnx"], "", {"models": [1]}),
        (["model.onnx", "config.pbtxt"], "", {"scaled": [1]}),
        (["1/model.onnx", "2/model.onnx"], "", {"models": [2]}),
        (["2/model.onnx", "config.pbtxt"], "", {"scaled": [2]}),
        (["2/model.onnx", "config.pbtxt"], "mine", {"mine": [2]}),
        (["a/1/model.onnx", "b/7/model.onnx"], "", {"a": [1], "b": [7]}),
        (["a/1/model.onnx"], "mine", {"mine": [1]}),
        (["a/model.onnx", "b/net.onnx", "docs/x.txt", ".git/h"], "", {"a": [1], "b": [1]}),
        (["model.onnx", "lost+found/1/model.onnx"], "", {"models": [1]}),
        (["lost+found/model.onnx", "a/model.onnx"], "", {"a": [1]}),
    ],
)
def test_every_layout(
    tmp_path: Path, paths: list[str], name: str, expected: dict[str, list[int]]
) -> None:
    """Triton's repository, one model of it, a plain folder, several: names and versions."""
    assert expected == found_in(lay(tmp_path / "models", *paths), name)


@pytest.mark.parametrize(
    ("paths", "name", "said"),
    [
        (["x/"], "", "has no model: it has x/. A model is a folder with model.onnx"),
        ([".hidden"], "", "has no model: it is empty"),
        (["net.pt", "readme.md"], "", "has no model: it has net.pt, readme.md."),
        (["a.onnx", "b.onnx"], "", "has 2 graphs (a.onnx, b.onnx): give each a folder of its own"),
        (["a/model.onnx", "b/model.onnx"], "m", "--model-name is for one model, and"),
        (["a b/model.onnx"], "", "'a b' is not a valid model name"),
    ],
)
def test_what_is_there_instead_is_said(
    tmp_path: Path, paths: list[str], name: str, said: str
) -> None:
    """A folder that cannot be served names what was found in it."""
    folder = lay(tmp_path / "models", *paths)
    with pytest.raises(FailedPrecondition) as refused:
        find_models(folder, name)

    assert "MODEL_FOLDER_UNUSABLE" == refused.value.reason
    assert said in refused.value.message


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Its path is said."""
    with pytest.raises(FailedPrecondition, match="nowhere cannot be read: No such file"):
        find_models(tmp_path / "nowhere")


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """Such as of a large file that was not fetched."""
    folder = lay(tmp_path / "models", "model.onnx")
    (folder / "weights.bin").symlink_to("away")
    with pytest.raises(FailedPrecondition, match="bin cannot be read: No such file"):
        find_models(folder)


def test_a_model_of_another_backend_is_refused(tmp_path: Path) -> None:
    """A config of Triton's that names another backend says so when the model is read."""
    folder = lay(tmp_path / "models", "a/1/model.onnx")
    (folder / "a/config.pbtxt").write_text('backend: "pytorch"')
    (model,) = find_models(folder)
    with pytest.raises(InvalidArgument, match="runs on pytorch"):
        model.config()


def test_a_mark_changes_with_what_a_link_leads_to(tmp_path: Path) -> None:
    """Kubernetes swaps the content of a volume by one link."""
    first, second = (lay(tmp_path / each, "model.onnx") for each in ("..one", "..two"))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..data").symlink_to(first)
    (mounted / "model.onnx").symlink_to("..data/model.onnx")
    (found,) = find_models(mounted, "m")
    (mounted / "..new").symlink_to(second)
    (mounted / "..new").rename(mounted / "..data")

    assert found.mark != found.mark_now()
    assert ["model.onnx"] == [path for path, *_ in found.mark]


def test_external_data_and_labels_belong_to_a_plain_model(tmp_path: Path) -> None:
    """What lies beside the graph and is not named by anything stays where it is."""
    folder = lay(tmp_path / "models", "net.onnx", "labels.txt", "readme.md")
    (found,) = find_models(folder)

    assert isinstance(found, FoundModel)
    assert {1: {"model.onnx": folder / "net.onnx", "labels.txt": folder / "labels.txt"}} == (
        found.read()
    )
