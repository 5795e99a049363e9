"""Language models are recognised by their files and their graph, and checked by what they write."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace import errors
from headrace.language.decoder_graph import WeightFormat
from headrace.language.folder_layout import find_language_graph
from headrace.language.graph_ends import ends_of_session
from headrace.language.tokenizer import tokenizer_digest
from headrace.state.language_records import SamplingDefaults, VersionKind
from headrace_registry.adapters.checks.language.candidate import (
    Candidate,
    CheckBounds,
    CheckedText,
)
from headrace_registry.adapters.checks.language.recognition import recognise
from headrace_registry.domain.pushes.artifacts import RequestedOptions
from tests.language.tiny_models import TinyModel, write_tiny_model
from tests.language.tiny_tokenizer import write_tiny_tokenizer

MEMORY = 4 << 30


def candidate_of(
    folder: Path, *, kind: VersionKind | None = None, seconds: float = 60, memory: int = MEMORY
) -> Candidate:
    """An unpacked artifact."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    bounds = CheckBounds(time.monotonic() + seconds, memory)
    asked = RequestedOptions(kind=kind)
    return Candidate(folder, find_language_graph(folder, names), asked, (), bounds)


def checked(folder: Path, **bounds: Any) -> CheckedText:
    """The findings on an artifact, which has to be a version of text."""
    candidate = candidate_of(folder, **bounds)
    check = recognise(candidate)
    assert check is not None
    return check(candidate)


def copied(model: TinyModel, folder: Path) -> Path:
    """A folder with the model's files, to be changed."""
    return shutil.copytree(model.folder, folder / "model")


def with_json(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
    """The folder with a file whose object was changed."""
    held = json.loads((folder / name).read_text())
    change(held)
    (folder / name).write_text(json.dumps(held))
    return folder


def with_graph(folder: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """The folder with a graph that was changed."""
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    change(graph)
    onnx.save(graph, folder / "model.onnx")
    return folder


def test_an_export_of_optimum_is_a_generative_version(tiny_optimum: TinyModel) -> None:
    """It has no genai_config.json: its graph keeps keys and values, and config.json says the rest."""
    facts = checked(tiny_optimum.folder).facts
    assert (VersionKind.GENERATION, "llama", 512, 640, 512) == (
        facts.kind,
        facts.architecture,
        facts.context_length,
        facts.vocabulary_size,
        facts.kv_bytes_per_token,
    )
    assert tokenizer_digest(tiny_optimum.folder / "tokenizer.json") == facts.tokenizer_digest


def test_what_the_graph_declares_is_what_its_session_says(tiny_llama: TinyModel) -> None:
    """A graph need not be opened to be recognised."""
    candidate = candidate_of(tiny_llama.folder)
    assert ends_of_session(candidate.open()) == candidate.ends


@pytest.mark.parametrize("weights", list(WeightFormat))
def test_the_form_of_the_weights_is_told(tmp_path: Path, weights: WeightFormat) -> None:
    """Also of those that are packed into bytes."""
    folder = write_tiny_model(tmp_path, weight_format=weights).folder
    assert weights == checked(folder).facts.weights


def test_a_graph_in_a_folder_of_its_own_is_found(tiny_optimum: TinyModel, tmp_path: Path) -> None:
    """On the Hub, graphs lie in a folder `onnx` below the configs."""
    folder = copied(tiny_optimum, tmp_path)
    (folder / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx_data"):
        (folder / name).rename(folder / "onnx" / name)
    assert VersionKind.GENERATION is checked(folder).facts.kind


def test_a_graph_without_a_cache_takes_tensors(tmp_path: Path) -> None:
    """A classifier may have a tokenizer beside it, and its callers send it tensors."""
    value = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    node = helper.make_node("Identity", ["input_ids"], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.INT64, ["n", "t"])
    graph = helper.make_graph([node], "g", [value], [output])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    write_tiny_tokenizer(tmp_path)
    assert recognise(candidate_of(tmp_path)) is None


def test_a_decoder_can_be_taken_as_tensors(tiny_llama: TinyModel) -> None:
    """Who pushes it says so."""
    assert recognise(candidate_of(tiny_llama.folder, kind=VersionKind.TENSORS)) is None


def test_what_is_asked_for_and_is_not_there_is_refused(tmp_path: Path) -> None:
    """A graph alone does not generate texts."""
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [])), tmp_path / "model.onnx")
    bounds = CheckBounds(time.monotonic() + 60, MEMORY)
    asked = RequestedOptions(kind=VersionKind.GENERATION)
    with pytest.raises(errors.InvalidArgument) as refused:
        recognise(Candidate(tmp_path, "model.onnx", asked, (), bounds))
    assert "LANGUAGE_FILES_INVALID" == refused.value.reason


def test_a_template_says_what_can_be_asked_for(tiny_llama: TinyModel, tmp_path: Path) -> None:
    """Chats where there is one, tools where it writes them, and another digest for another text."""
    folder = copied(tiny_llama, tmp_path)
    plain = checked(folder).facts
    write_template("{{ tools | tojson }}{{ messages[0].content }}")(folder)
    tools = checked(folder).facts
    (folder / "chat_template.jinja").unlink()
    with_json(folder, "tokenizer_config.json", lambda held: held.pop("chat_template"))
    mute = checked(folder).facts
    assert ("completion", "chat") == plain.capabilities
    assert ("completion", "chat", "tools") == tools.capabilities
    assert ("completion",) == mute.capabilities
    assert 3 == len({each.chat_template_digest for each in (plain, tools, mute)})


def test_advice_that_no_request_may_follow_is_left_out(
    tiny_optimum: TinyModel, tmp_path: Path
) -> None:
    """What is advised is what the registry proposes, as far as it is in range."""
    folder = copied(tiny_optimum, tmp_path)
    advice = {"do_sample": True, "temperature": 9.0, "top_k": 20, "top_p": 0.8}
    with_json(folder, "generation_config.json", lambda held: held.update(advice))
    expected = SamplingDefaults(top_k=20, top_p=0.8)
    assert expected == checked(folder).proposed.generation.sampling


def test_a_model_without_an_end_is_taken_and_said_to_be_so(
    tiny_llama: TinyModel, tmp_path: Path
) -> None:
    """Its answers end at their longest."""
    folder = copied(tiny_llama, tmp_path)
    with_json(folder, "genai_config.json", lambda held: held["model"].pop("eos_token_id"))
    with_json(folder, "tokenizer_config.json", lambda held: held.pop("eos_token"))
    assert ["no file names its end token"] == [
        notice.partition(":")[0] for notice in checked(folder).notices
    ]


def test_a_window_that_the_graph_leaves_open_bounds_the_context(
    tiny_llama: TinyModel, tmp_path: Path
) -> None:
    """Up to there the graph says what the model would; beyond, it sees what the model must not see."""
    folder = copied(tiny_llama, tmp_path)
    window = {"window_size": 64, "slide_key_value_cache": False, "layers": []}
    with_json(
        folder,
        "genai_config.json",
        lambda held: held["model"]["decoder"].update(sliding_window=window),
    )
    found = checked(folder)
    assert 64 == found.facts.context_length
    assert ["context of 64 tokens instead of 512"] == [
        notice.partition(":")[0] for notice in found.notices
    ]


def test_a_check_without_time_writes_one_token(tiny_llama: TinyModel) -> None:
    """And says that it stopped there."""
    (notice,) = checked(tiny_llama.folder, seconds=0).notices
    assert "not tried at length: writing 1 tokens took all of the check's time" == notice


def test_weights_that_would_not_fit_are_not_opened(tiny_optimum: TinyModel, tmp_path: Path) -> None:
    """The rest is checked, and a notice has the numbers."""
    folder = copied(tiny_optimum, tmp_path)

    def halve(graph: onnx.ModelProto) -> None:
        for tensor in graph.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                tensor.data_type = TensorProto.FLOAT16

    found = checked(with_graph(folder, halve), memory=1000)
    (notice,) = found.notices
    assert ("fp16", True) == (
        found.facts.weights,
        notice.endswith("a check may take 1000 (check_memory_bytes)"),
    )


def remove_tokenizer(folder: Path) -> None:
    """As somebody does who copies the graph alone."""
    (folder / "tokenizer.json").unlink()


def break_tokenizer(folder: Path) -> None:
    """A file that was cut."""
    (folder / "tokenizer.json").write_text("{")


def name_another_graph(folder: Path) -> None:
    """One that is not there."""
    with_json(
        folder, "genai_config.json", lambda held: held["model"]["decoder"].update(filename="x.onnx")
    )


def narrow_vocabulary(folder: Path) -> None:
    """Logits that are narrower than the tokenizer."""

    def narrow(graph: onnx.ModelProto) -> None:
        (logits,) = (value for value in graph.graph.output if value.name == "logits")
        logits.type.tensor_type.shape.dim[2].ClearField("dim_value")

    with_graph(folder, narrow)
    with_json(folder, "genai_config.json", lambda held: held["model"].update(vocab_size=500))


def end_outside(folder: Path) -> None:
    """An end that the logits do not reach."""
    with_json(folder, "genai_config.json", lambda held: held["model"].update(eos_token_id=[2, 640]))


def ruin_weights(folder: Path) -> None:
    """Weights that are no numbers."""

    def ruin(graph: onnx.ModelProto) -> None:
        norm = next(each for each in graph.graph.initializer if each.dims == [64])
        nothing = np.full(64, np.nan, np.float32)
        norm.CopyFrom(numpy_helper.from_array(nothing, norm.name))

    with_graph(folder, ruin)


def misname_an_input(folder: Path) -> None:
    """A name that is no text."""
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"attention_mask", b"attention_mas\xff"))


def write_template(text: str) -> Callable[[Path], None]:
    """One that lies beside the tokenizer's config, and counts before what that says."""

    def write(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)

    return write


@pytest.mark.parametrize(
    ("spoil", "reason", "said"),
    [
        (remove_tokenizer, "LANGUAGE_FILES_INVALID", "no tokenizer.json"),
        (break_tokenizer, "LANGUAGE_FILES_INVALID", "tokenizer.json is no tokenizer"),
        (name_another_graph, "LANGUAGE_FILES_INVALID", "'x.onnx', which is not there"),
        (narrow_vocabulary, "TOKENIZER_MISMATCH", "the logits are 500 wide"),
        (end_outside, "TOKENIZER_MISMATCH", "the end is the token 640"),
        (ruin_weights, "GENERATION_FAILED", "NaN"),
        (write_template("{% if %}"), "CHAT_TEMPLATE_INVALID", "no template that can be run"),
        (
            write_template("{{ messages[0].nothing.at_all }}"),
            "CHAT_TEMPLATE_INVALID",
            "no greeting",
        ),
        (write_template("{{ raise_exception('no chats') }}"), "CHAT_TEMPLATE_INVALID", "no chats"),
        (write_template("{{ 'a' * 10**10 }}"), "CHAT_TEMPLATE_INVALID", "too much text"),
        (write_template("{{ ''.__class__.__mro__ }}"), "CHAT_TEMPLATE_INVALID", "no greeting"),
        (misname_an_input, "MODEL_REFUSED", ""),
    ],
)
def test_what_could_not_answer_is_refused(
    tiny_llama: TinyModel, tmp_path: Path, spoil: Callable[[Path], None], reason: str, said: str
) -> None:
    """The message says which file is wrong, or what came of the ten tokens."""
    folder = copied(tiny_llama, tmp_path)
    spoil(folder)
    with pytest.raises(errors.InvalidArgument) as refused:
        checked(folder)
    assert (reason, True) == (refused.value.reason, said in refused.value.message)
