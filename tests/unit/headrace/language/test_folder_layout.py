"""Of a folder as it lies on the Hub, one graph is served, with what goes with it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper, save

from headrace import errors
from headrace.client.artifact import choose_graph, members_of
from headrace.language.folder_layout import find_language_graph

SMALL = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "LICENSE",
    "1_Pooling/config.json",
)
LEFT = (
    "README.md",
    ".gitattributes",
    ".cache/huggingface/download/x.lock",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model-00001-of-00002.bin",
    "onnx/model_fp16.onnx_data",
    "modeling_llama.py",
    "picture.png",
)


def written(folder: Path, graphs: Iterable[str], others: Iterable[str]) -> Path:
    """A folder with graphs, each with weights beside it, and with other files."""
    for name in others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    for name in graphs:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensor = numpy_helper.from_array(np.ones(300, np.float32), "w")
        graph = helper.make_graph([], "g", [], [], [tensor])
        save(
            helper.make_model(graph),
            path,
            save_as_external_data=True,
            location=f"{path.name}_data",
            size_threshold=0,
        )
    return folder


def test_the_hub_s_layout_is_pushed_as_it_is(tmp_path: Path) -> None:
    """The graph that is called model.onnx, its weights and the small files."""
    graphs = ("onnx/model.onnx", "onnx/model_quantized.onnx")
    folder = written(tmp_path, graphs, (*SMALL, *LEFT))
    expected = {*SMALL, "onnx/model.onnx", "onnx/model.onnx_data"}
    assert expected == set(members_of(folder))
    chosen = choose_graph(folder, "onnx/model_quantized.onnx")
    expected = {*SMALL, "onnx/model_quantized.onnx", "onnx/model_quantized.onnx_data"}
    assert expected == set(chosen)


def test_a_folder_without_a_tokenizer_is_pushed_whole(tmp_path: Path) -> None:
    """It is no language model's, and who pushes it knows what is in it."""
    folder = written(tmp_path, ("model.onnx", "b.onnx"), ("README.md",))
    expected = {"model.onnx", "model.onnx_data", "b.onnx", "b.onnx_data", "README.md"}
    assert expected == set(members_of(folder))


def test_the_config_of_genai_names_the_graph(tmp_path: Path) -> None:
    """Another cannot be chosen, for the config is not about that."""
    folder = written(tmp_path, ("phi.onnx", "model.onnx"), ("tokenizer.json",))
    config = {"model": {"decoder": {"filename": "phi.onnx"}}}
    (folder / "genai_config.json").write_text(json.dumps(config))
    names = {path.name for path in folder.iterdir()}
    assert "phi.onnx" == find_language_graph(folder, names)
    with pytest.raises(errors.InvalidArgument) as refused:
        choose_graph(folder, "model.onnx")
    assert "LANGUAGE_FILES_INVALID" == refused.value.reason


@pytest.mark.parametrize(
    ("graphs", "graph", "reason"),
    [
        (("a.onnx", "b.onnx"), "", "GRAPH_AMBIGUOUS"),
        (("a.onnx",), "c.onnx", "GRAPH_NOT_FOUND"),
        ((), "", "GRAPH_NOT_FOUND"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    tmp_path: Path, graphs: tuple[str, ...], graph: str, reason: str
) -> None:
    """The message lists what is there."""
    folder = written(tmp_path, graphs, ("tokenizer.json",))
    with pytest.raises(errors.InvalidArgument) as refused:
        choose_graph(folder, graph)
    assert (reason, True) == (
        refused.value.reason,
        all(one in refused.value.message for one in graphs),
    )
