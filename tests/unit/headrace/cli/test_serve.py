"""What `headrace serve` is given, and the calls that it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from headrace.cli import app, serve
from headrace.cli.served_models import Served, sources_of
from headrace.client import Version
from headrace.datatype_names import Datatype
from headrace.model_calls.example_calls import example_calls
from headrace.model_calls.example_inputs import ExampleTensor, example_inputs
from headrace.model_calls.text_calls import text_calls
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.state.records import ServingConfig, Signature, TensorSpec


def example_of(*inputs: TensorSpec) -> tuple[ExampleTensor, ...]:
    """The likeliest values for these inputs."""
    return next(example_inputs(Signature(inputs, ())))


@pytest.mark.parametrize(
    ("spec", "shape", "element"),
    [
        (TensorSpec("x", Datatype.FP32, (-1, 4), ("batch", "")), (1, 4), 0.5),
        (TensorSpec("ids", Datatype.INT64, (-1, -1), ("batch", "sequence")), (1, 8), 1),
        (TensorSpec("attention_mask", Datatype.INT64, (1, 8)), (1, 8), 1),
        (TensorSpec("token_type_ids", Datatype.INT64, (1, 8)), (1, 8), 0),
        (TensorSpec("image", Datatype.FP32, (-1, 3, -1, -1)), (1, 3, 224, 224), 0.5),
        (TensorSpec("image", Datatype.UINT8, (-1, -1, -1, 3), ("n", "h", "w", "")), None, 1),
        (TensorSpec("text", Datatype.BYTES, (-1,)), (1,), "some text"),
        (TensorSpec("flag", Datatype.BOOL, ()), (), True),
        (TensorSpec("any", Datatype.FP64, (), (), unranked=True), (1,), 0.5),
    ],
)
def test_values_are_those_that_the_signature_allows(
    spec: TensorSpec, shape: tuple[int, ...] | None, element: object
) -> None:
    """A row each: an input, the shape that free dimensions get, and its elements."""
    (tensor,) = example_of(spec)

    assert ((1, 224, 224, 3) if shape is None else shape) == tensor.shape
    assert element == tensor.element
    assert spec.datatype is tensor.datatype


def test_there_are_other_values_where_the_likeliest_are_refused() -> None:
    """Free dimensions may have to be of one size, and integers 0."""
    spec = TensorSpec("x", Datatype.INT32, (-1, -1))
    shapes = {one.shape for (one,) in example_inputs(Signature((spec,), ()))}
    elements = {one.element for (one,) in example_inputs(Signature((spec,), ()))}

    assert {(1, 1), (1, 8), (1, 64), (1, 224)} == shapes
    assert {0, 1} == elements


def test_small_calls_are_written_out() -> None:
    """The addresses, the model and all values are in the call."""
    inputs = example_of(TensorSpec("it's", Datatype.FP32, (-1, 2)))
    calls = example_calls("iris", "127.0.0.1:8000", "127.0.0.1:8001", inputs, usual=True)

    url = "http://127.0.0.1:8000/v2/models/iris/generate"
    assert f"""curl -s {url} -d '{{"it'"'"'s": [[0.5, 0.6]]}}'""" == calls.curl
    assert """client.infer("iris", {"it's": [[0.5, 0.6]]})""" in calls.python
    assert "headrace.Client()" in calls.python
    assert url in calls.javascript


def test_large_calls_repeat_a_value() -> None:
    """Nobody pastes 150,000 numbers: each language makes them."""
    inputs = example_of(TensorSpec("x", Datatype.FP32, (1, 3, 224, 224)))
    calls = example_calls("net", "a:1", "a:2", inputs)

    assert "[[[[0.5] * 224] * 224] * 3]" in calls.python
    assert "[Array(3).fill(Array(224).fill(Array(224).fill(0.5)))]" in calls.javascript
    assert calls.curl.startswith("python3 -c 'import json; ")
    assert 'headrace.Client(inference="a:2")' in calls.python


@pytest.mark.parametrize(
    ("kind", "capabilities", "path", "method"),
    [
        (VersionKind.GENERATION, ("completion", "chat"), "chat/completions", 'client.chat("m"'),
        (VersionKind.GENERATION, ("completion",), "completions", 'client.generate("m"'),
        (VersionKind.EMBEDDING, ("embedding",), "embeddings", 'client.embed("m"'),
        (VersionKind.RERANK, ("rerank",), "rerank", 'client.rerank("m"'),
    ],
)
def test_models_of_text_are_called_as_openai_s(
    kind: VersionKind, capabilities: tuple[str, ...], path: str, method: str
) -> None:
    """Each by the part of the API that its kind answers."""
    facts = LanguageFacts(kind, "llama", 512, 640, "e" * 64, capabilities=capabilities)
    calls = text_calls("m", facts, "a:1", "a:2")
    assert f"curl -s http://a:1/v1/{path} " in calls.curl
    assert f'headrace.Client(inference="a:2") as client:\n    print({method}' in calls.python
    assert f'fetch("http://a:1/v1/{path}"' in calls.javascript


def test_models_are_called_as_their_files(tmp_path: Path) -> None:
    """A file or folder gives its name, a Triton repository the names of its models."""
    for name in ("my model.onnx", "plain/model.onnx", "repository/tri/1/model.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    paths = [tmp_path / "my model.onnx", tmp_path / "plain", tmp_path / "repository"]
    found = sources_of(paths)

    assert ["my-model", "plain", "tri"] == [source.name for source in found]
    assert [False, False, True] == [source.is_triton for source in found]
    assert ["net"] == [source.name for source in sources_of(paths[:1], "net")]
    with pytest.raises(typer.BadParameter, match="two models"):
        sources_of([*paths, tmp_path / "plain"])


def test_a_folder_of_several_graphs_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """It says how to serve them all; where one is called model.onnx, the folder is that model."""
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"graph")
    with pytest.raises(
        typer.BadParameter, match=r"has 2 .onnx files: .*`headrace serve .*/\*.onnx`"
    ):
        sources_of([tmp_path])
    (tmp_path / "model.onnx").write_bytes(b"graph")

    assert ["net"] == [source.name for source in sources_of([tmp_path], "net")]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["gone.onnx"], 2, "does not exist"),
        (["empty.onnx"], 1, "is empty"),
        (["net.pt"], 1, "torch.onnx.export"),
        (["net.pt", "empty.onnx", "--name", "x"], 2, "are for one model"),
        (["empty.onnx", "--name", "team/iris"], 1, "such as 'team-iris'"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(
    arguments: list[str],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A row each: an error at once, and no data folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "net.pt").write_bytes(b"\x80\x02")

    assert status == app.run(["serve", *arguments, "--json"])
    assert words in json.loads(capsys.readouterr().err)["error"]["message"]
    assert not (tmp_path / ".headrace").exists()


def printed(capsys: pytest.CaptureFixture[str], *models: tuple[str, TensorSpec]) -> str:
    """What people see when these models are served."""
    served = []
    for name, spec in models:
        signature = Signature((spec,), ())
        version = Version(name, 1, "", (), "model.onnx", signature, ServingConfig(), 0.0)
        served.append(Served(version, is_new=True, example=next(example_inputs(signature))))
    replica = {"grpc": "127.0.0.1:7001", "http": "127.0.0.1:7000"}
    serve._print_calls({"inference": [replica], "monitor_http": "127.0.0.1:7201"}, served)
    return capsys.readouterr().out


def test_people_see_curl_first(capsys: pytest.CaptureFixture[str]) -> None:
    """One model: curl, Python, JavaScript, and an image where it takes one. Several: curl for each."""
    image = TensorSpec("x", Datatype.FP32, (-1, 3, 8, 8))
    numbers = TensorSpec("x", Datatype.FP32, (-1, 4))
    text = printed(capsys, ("net", image))
    several = printed(capsys, ("one", numbers), ("two", numbers))

    places = [text.index(f"# {each}") for each in ("curl", "Python", "JavaScript", "An image")]
    assert sorted(places) == places
    assert "headrace --inference 127.0.0.1:7001 infer net @image.jpg" in text
    assert 2 == several.count("\ncurl -s http://127.0.0.1:7000/v2/models/")
    assert "# Python" not in several
    assert "Ctrl-C here stops all" in several
