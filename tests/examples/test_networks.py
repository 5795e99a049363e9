"""Networks on images, sequences and letters at a reduced size: trained, served, compared with torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.examples.conftest import Serving

torch = pytest.importorskip(
    "torch", reason="what networks are trained with: pip install 'headrace[training]'"
)

from examples.language_lstm import call  # noqa: E402
from examples.language_lstm import train as letters  # noqa: E402
from examples.mnist_cnn.train import Digits, digits, write_images  # noqa: E402
from examples.sequences_lstm.train import Speakers, speakers  # noqa: E402
from examples.training.classifying import Classifier, train  # noqa: E402
from examples.training.options import Options  # noqa: E402


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> tuple[Digits, Classifier]:
    """Digits, and the network that reads them, served as `mnist`."""
    task = digits(1500)
    trained = train(task, Options(tmp_path_factory.mktemp("mnist"), epochs=5))
    version = serving.push("mnist", trained.path)
    assert version.config.batching.max_batch_size > 1
    return task, trained


def test_images_are_read_as_torch_reads_them(
    mnist: tuple[Digits, Classifier], serving: Serving
) -> None:
    """Bytes of grey go in; scaling is in the graph."""
    task, trained = mnist
    rows = trained.rows.test
    answer = serving.client.infer("mnist", task.images[rows])
    np.testing.assert_allclose(answer["probabilities"], trained.probabilities(rows), atol=1e-5)
    assert np.mean(answer["label"].astype(np.int64) == task.labels[rows]) > 0.6


def test_an_image_is_read_over_rest(mnist: tuple[Digits, Classifier], serving: Serving) -> None:
    """The same as numbers in JSON."""
    task, trained = mnist
    row = trained.rows.test[:1]
    image = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 28]}
    document = {"inputs": [{**image, "data": task.images[row].ravel().tolist()}]}
    outputs = {
        each["name"]: each["data"]
        for each in serving.post("/v2/models/mnist/infer", document)["outputs"]
    }
    expected = trained.probabilities(row)[0]
    assert [str(expected.argmax())] == outputs["label"]
    assert pytest.approx(expected.tolist(), abs=1e-5) == outputs["probabilities"]


def test_images_are_written_as_they_are_sent(
    mnist: tuple[Digits, Classifier], tmp_path: Path
) -> None:
    """A file that the example writes decodes to the pixels that callers send."""
    from PIL import Image

    task, trained = mnist
    row = trained.rows.test[:1]
    write_images(task, row, tmp_path)
    (path,) = tmp_path.glob("digit_*.png")
    np.testing.assert_array_equal(task.images[row[0]], np.asarray(Image.open(path)))


@pytest.fixture(scope="module", params=["lstm", "gru"])
def voices(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, serving: Serving
) -> tuple[Speakers, Classifier, str]:
    """Utterances, and the network that tells speakers apart."""
    cell = request.param
    task = replace(speakers(300), cell=cell)
    trained = train(task, Options(tmp_path_factory.mktemp(cell), epochs=8))
    version = serving.push(f"speakers-{cell}", trained.path)
    assert version.config.batching.max_batch_size > 1
    return task, trained, f"speakers-{cell}"


def test_speakers_are_told_apart_as_torch_does(
    voices: tuple[Speakers, Classifier, str], serving: Serving
) -> None:
    """Sequences of different lengths go in one request, each with its length."""
    task, trained, name = voices
    rows = trained.rows.test
    answer = serving.client.infer(name, task.inputs(rows))
    np.testing.assert_allclose(answer["probabilities"], trained.probabilities(rows), atol=1e-5)
    truth = [task.classes[label] for label in task.labels[rows]]
    assert np.mean([a == b for a, b in zip(answer["label"], truth, strict=True)]) > 0.6


def test_the_filling_has_no_say(voices: tuple[Speakers, Classifier, str], serving: Serving) -> None:
    """A sequence gets the same alone and filled up with whatever; over REST, too."""
    task, trained, name = voices
    row = trained.rows.test[:1]
    given = task.inputs(row)
    filled = np.concatenate([given["sequence"], np.full((1, 9, 12), 7, np.float32)], axis=1)
    alone = serving.client.infer(name, given)["probabilities"]
    longer = serving.client.infer(name, {**given, "sequence": filled})["probabilities"]
    np.testing.assert_allclose(longer, alone, atol=1e-6)
    tensors = [
        {
            "name": "sequence",
            "datatype": "FP32",
            "shape": list(filled.shape),
            "data": filled.ravel().tolist(),
        },
        {"name": "length", "datatype": "INT64", "shape": [1], "data": given["length"].tolist()},
    ]
    outputs = serving.post(f"/v2/models/{name}/infer", {"inputs": tensors})["outputs"]
    (said,) = (each["data"] for each in outputs if each["name"] == "probabilities")
    assert pytest.approx(alone[0].tolist(), abs=1e-5) == said


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> letters.LanguageModel:
    """A language model that has read little, served as `letters`."""
    trained = letters.train(Options(tmp_path_factory.mktemp("letters"), rows=40_000, epochs=2))
    version = serving.push("letters", trained.path)
    assert version.config.batching.max_batch_size > 1
    return trained


def test_it_knows_more_than_how_often_letters_come(writer: letters.LanguageModel) -> None:
    """On text that it has not seen."""
    assert writer.perplexity < writer.letter_counts_perplexity - 1


def test_the_state_goes_on_with_the_caller(writer: letters.LanguageModel, serving: Serving) -> None:
    """Letter by letter, a text gets the probabilities that torch gives it as a whole."""
    text = bytes(writer.held_out[:12]).decode()
    going = call.Writer(serving.client, "letters")
    found = np.concatenate([going.read(letter) for letter in text])
    with torch.no_grad():
        whole = writer.model(
            torch.from_numpy(writer.held_out[None, :12].copy()), *letters.initial(1)
        )
    np.testing.assert_allclose(found, whole[0][0].numpy(), atol=1e-4)


def test_text_is_written_by_a_loop_of_calls(
    writer: letters.LanguageModel, serving: Serving
) -> None:
    """The same seed writes the same; the start is kept."""
    first, again = (
        call.written(serving.client, "letters", "And the ", 10, temperature=0.8, seed=3)
        for _ in range(2)
    )
    assert first == again
    assert first.startswith("And the ")
    assert 18 == len(first)
    assert 1 < call.perplexity(serving.client, "letters", "And the earth was waste") < 128


def test_letters_are_scored_over_rest(writer: letters.LanguageModel, serving: Serving) -> None:
    """What curl sends: bytes, and zeros for the state before a text."""
    zeros = {"datatype": "FP32", "shape": [1, 2, 192], "data": [0.0] * 384}
    tensors = [
        {"name": "letters", "datatype": "UINT8", "shape": [1, 3], "data": list(b"And")},
        {"name": "hidden", **zeros},
        {"name": "cell", **zeros},
    ]
    outputs = serving.post("/v2/models/letters/infer", {"inputs": tensors})["outputs"]
    shapes = {each["name"]: each["shape"] for each in outputs}
    assert [1, 3, 128] == shapes["log_probabilities"]
    assert [1, 2, 192] == shapes["hidden_after"] == shapes["cell_after"]
