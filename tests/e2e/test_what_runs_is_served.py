"""What ONNX Runtime runs is pushed, served and answered as ONNX Runtime answers, on both fronts."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import tritonclient.grpc as triton

from headrace import Client, errors
from tests.e2e.odd_graphs import NO_INPUTS, ODD, classifier, scaled
from tests.e2e.served import Addresses, serving

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

Arrays = Mapping[str, npt.NDArray[Any]]

CLASSES: dict[str, list[Any]] = {
    "numbers": [7, 8, 9],
    "texts": ["red", "dark green", "blau \u00fc"],
    "twice": [0, 1],
}
MODELS = {
    **ODD,
    "no-inputs": NO_INPUTS,
    **{name: classifier(classes, 1 + (name == "twice")) for name, classes in CLASSES.items()},
    "scaled": scaled(),
}
ROWS = np.array([[1, -2], [0.5, 3]], np.float32)


@pytest.fixture(scope="module", params=["native", "grpcio"])
def replica(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """A suite that serves all of them."""
    graphs = {name: model.SerializeToString() for name, model in MODELS.items()}
    folder = tmp_path_factory.mktemp(request.param)
    with serving(folder, graphs, ("--front", request.param)) as addresses:
        yield addresses


@pytest.fixture
def client(replica: Addresses) -> Iterator[Client]:
    """A client of that suite."""
    with Client(inference=replica.grpc, registry=replica.registry) as opened:
        yield opened


def bare(model: Any, inputs: Arrays) -> list[Any]:
    """What ONNX Runtime answers."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    answers: list[Any] = onnxruntime.InferenceSession(model.SerializeToString(), options).run(
        None, dict(inputs)
    )
    return answers


def by_rest(replica: Addresses, model: str, inputs: Arrays) -> dict[str, Any]:
    """The outputs of a request as JSON, numbers as FP32."""
    tensors = [
        {"name": name, "datatype": "FP32", "shape": array.shape, "data": array.ravel().tolist()}
        for name, array in inputs.items()
    ]
    request = urllib.request.Request(
        f"{replica.url}/v2/models/{model}/infer",
        json.dumps({"inputs": tensors}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        outputs = json.load(answer)["outputs"]
    return {
        each["name"]: np.array(each["data"], np.float32).reshape(each["shape"]) for each in outputs
    }


@pytest.mark.parametrize("name", ODD)
def test_odd_graphs_answer_as_onnx_runtime_does(
    replica: Addresses, client: Client, name: str
) -> None:
    """ONNX's checker refuses most of these; the runtime's word counts."""
    (want,) = bare(ODD[name], {"x": ROWS})
    np.testing.assert_array_equal(want, client.infer(name, {"x": ROWS}).outputs["y"], strict=True)
    np.testing.assert_array_equal(want, by_rest(replica, name, {"x": ROWS})["y"])


@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 1, 3)])
def test_an_unknown_rank_takes_any(
    replica: Addresses, client: Client, shape: tuple[int, ...]
) -> None:
    """A scalar, empty tensors, any number of dimensions; metadata shows [-1]."""
    x = np.full(shape, 3, np.float32)
    np.testing.assert_array_equal(
        -x, client.infer("unknown-rank", {"x": x}).outputs["y"], strict=True
    )
    np.testing.assert_array_equal(-x, by_rest(replica, "unknown-rank", {"x": x})["y"])
    assert (-1,) == client.model_metadata("unknown-rank").inputs[0].shape
    assert client.version("unknown-rank", 1).signature.inputs[0].unranked


def test_a_model_without_inputs(client: Client) -> None:
    """A graph of constants alone answers them."""
    assert [1, 2] == client.infer("no-inputs", {}).outputs["y"].tolist()


def test_weights_of_old_files_are_no_inputs(client: Client) -> None:
    """Before IR version 4 every weight had to be listed as an input, and none could be given."""
    signature = client.version("weights-listed-as-inputs-of-old", 1).signature
    assert ["x"] == [spec.name for spec in signature.inputs]
    assert () == signature.optional_inputs


@pytest.mark.parametrize("name", CLASSES)
def test_zip_maps_are_taken_off(replica: Addresses, client: Client, name: str) -> None:
    """The output keeps its name and gives the maps' numbers as a tensor; the push says so."""
    classes = CLASSES[name]
    x = np.arange(2 * len(classes), dtype=np.float32).reshape(2, -1)
    labels, *maps = bare(MODELS[name], {"x": x})
    found, by_json = client.infer(name, {"x": x}).outputs, by_rest(replica, name, {"x": x})
    np.testing.assert_array_equal(labels, found["label"])
    for place, rows in enumerate(maps):
        output = f"probabilities{place or ''}"
        want = np.array([[row[each] for each in classes] for row in rows], np.float32)
        np.testing.assert_array_equal(want, found[output], strict=True)
        np.testing.assert_array_equal(want, by_json[output])
    version = client.version(name, 1)
    assert (-1, len(classes)) == version.signature.outputs[1].shape
    assert len(maps) == sum("ZipMap" in notice for notice in version.notices)


@pytest.mark.parametrize(
    ("name", "best"), [("numbers", ["2:9", "1:8"]), ("texts", ["2:blau \u00fc", "1:dark green"])]
)
def test_their_classes_are_labels(replica: Addresses, name: str, best: list[str]) -> None:
    """Classification names the columns as the maps did."""
    with triton.InferenceServerClient(replica.grpc) as server:
        x = triton.InferInput("x", [1, 3], "FP32")
        x.set_data_from_numpy(np.array([[0, 1, 2]], np.float32))
        wanted = triton.InferRequestedOutput("probabilities", class_count=2)
        answer = server.infer(name, [x], outputs=[wanted]).as_numpy("probabilities")
    assert answer is not None
    assert best == [text.decode().partition(":")[2] for text in answer.ravel()]


OPTIONAL: list[tuple[dict[str, Any], list[list[float]]]] = [
    ({}, [[2, -4], [1, 6]]),
    ({"scale": 3}, [[3, -6], [1.5, 9]]),
    ({"bias": [1, 2]}, [[3, -2], [2, 8]]),
    ({"bias": [1, 2], "scale": 0}, [[1, 2], [1, 2]]),
]


@pytest.mark.parametrize(("given", "want"), OPTIONAL)
def test_inputs_with_a_default_may_be_given(
    replica: Addresses, client: Client, given: dict[str, Any], want: list[list[float]]
) -> None:
    """Those left out keep their default; the order of a request's inputs does not matter."""
    optional = {name: np.array(value, np.float32) for name, value in given.items()}
    for inputs in ({"x": ROWS, **optional}, {**optional, "x": ROWS}):
        assert want == client.infer("scaled", inputs).outputs["y"].tolist()
        assert want == by_rest(replica, "scaled", inputs)["y"].tolist()


def test_who_gives_one_is_not_batched_with_others(client: Client) -> None:
    """Callers side by side, each with another scale or none, get their own answers."""

    def call(number: int) -> bool:
        scale = number % 5
        given = {"scale": np.array(scale, np.float32)} if scale else {}
        x = np.full((1, 2), number, np.float32)
        answer = client.infer("scaled", {"x": x, **given}).outputs["y"]
        return bool(answer.tolist() == [[number * (scale or 2)] * 2])

    with ThreadPoolExecutor(16) as callers:
        assert all(callers.map(call, range(400)))


def test_streams_take_inputs_with_a_default(replica: Addresses) -> None:
    """Requests of a stream may give them, or not."""
    answers: list[Any] = []
    with triton.InferenceServerClient(replica.grpc) as server:
        server.start_stream(lambda result, error: answers.append((result, error)))
        for scale in (None, 5):
            tensors = {"x": ROWS} | ({} if scale is None else {"scale": np.array(5, np.float32)})
            inputs = [
                triton.InferInput(name, array.shape, "FP32") for name, array in tensors.items()
            ]
            for tensor, array in zip(inputs, tensors.values(), strict=True):
                tensor.set_data_from_numpy(array)
            server.async_stream_infer("scaled", inputs)
        server.stop_stream()
    assert [None, None] == [error for _, error in answers]
    assert [(2 * ROWS).tolist(), (5 * ROWS).tolist()] == [
        result.as_numpy("y").tolist() for result, _ in answers
    ]


def test_metadata_and_config_show_them(replica: Addresses, client: Client) -> None:
    """The metadata lists them behind the required ones, and Triton's config says that they are optional."""
    assert ["x", "bias", "scale"] == [each.name for each in client.model_metadata("scaled").inputs]
    with triton.InferenceServerClient(replica.grpc) as server:
        config = server.get_model_config("scaled").config
    optional = {each.name: (each.optional, list(each.dims)) for each in config.input}
    assert {"x": (False, [2]), "bias": (True, [2]), "scale": (True, [])} == optional


def test_what_an_optional_input_must_be(client: Client) -> None:
    """Shapes and datatypes are checked as those of others."""
    wrong = np.array([1, 2, 3], np.float32)
    with pytest.raises(errors.InvalidArgument) as caught:
        client.infer("scaled", {"x": ROWS, "bias": wrong})
    assert "SHAPE_MISMATCH" == caught.value.reason
