"""The digits example: its script trains two models that ONNX Runtime serves well."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

SCRIPT = Path(__file__).parents[2] / "examples" / "digits" / "train.py"
VERSIONS = ("v1", "v2")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one run of the script filled."""
    folder = tmp_path_factory.mktemp("digits")
    alone = os.environ | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # several wait for each other
    subprocess.run([sys.executable, SCRIPT, folder], check=True, timeout=100, env=alone)
    return folder


def load_images(out: Path) -> NDArray[np.float32]:
    """The held-back images, FP32 [n, 8, 8]."""
    images: NDArray[np.float32] = np.load(out / "heldout_images.npy")
    return images


def open_model(out: Path, version: str) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU for this version."""
    path = out / version / "model.onnx"
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def accuracy(out: Path, version: str) -> float:
    """The share of held-back images that this version labels correctly."""
    (labels,) = open_model(out, version).run(["label"], {"image": load_images(out)})
    return float(np.mean(labels == np.load(out / "heldout_labels.npy")))


def test_held_back_digits_are_saved_as_the_models_take_them(out: Path) -> None:
    """A quarter of the 1797 digits is saved, raw, as FP32 images and INT64 labels."""
    images, labels = load_images(out), np.load(out / "heldout_labels.npy")
    assert ((450, 8, 8), np.dtype(np.float32)) == (images.shape, images.dtype)
    assert ((450,), np.dtype(np.int64)) == (labels.shape, labels.dtype)
    assert (images.min(), images.max()) == (0.0, 16.0)
    assert list(range(10)) == np.unique(labels).tolist()


@pytest.mark.parametrize("version", VERSIONS)
def test_model_is_valid_onnx(out: Path, version: str) -> None:
    """The ONNX checker, shape inference included, accepts the exported file."""
    onnx.checker.check_model(out / version / "model.onnx", full_check=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_both_versions_have_the_same_signature(out: Path, version: str) -> None:
    """Either version can replace the other, as names, types and shapes are the same."""
    session = open_model(out, version)
    signature = [(x.name, x.type, x.shape) for x in session.get_inputs() + session.get_outputs()]
    assert signature == [
        ("image", "tensor(float)", ["batch", 8, 8]),
        ("label", "tensor(int64)", ["batch"]),
        ("probabilities", "tensor(float)", ["batch", 10]),
    ]


def test_second_version_is_better_than_the_first(out: Path) -> None:
    """On the held-back digits the first version is usable and the second is clearly better."""
    first, second = accuracy(out, "v1"), accuracy(out, "v2")
    assert first >= 0.85
    assert second >= 0.96
    assert second > first


@pytest.mark.parametrize("version", VERSIONS)
def test_one_image_and_a_batch_give_the_same_answers(out: Path, version: str) -> None:
    """An image gets the same label and probabilities alone as among others."""
    session, images = open_model(out, version), load_images(out)[:20]
    labels, probabilities = session.run(["label", "probabilities"], {"image": images})
    alone = [session.run(["label", "probabilities"], {"image": image[None]}) for image in images]
    assert [label.item() for label, _ in alone] == labels.tolist()
    np.testing.assert_allclose(np.concatenate([row for _, row in alone]), probabilities, atol=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_probabilities_belong_to_the_label(out: Path, version: str) -> None:
    """Each image's probabilities sum to one, and the largest is that of its label."""
    outputs = ["label", "probabilities"]
    labels, probabilities = open_model(out, version).run(outputs, {"image": load_images(out)})
    np.testing.assert_allclose(np.ones(len(labels)), probabilities.sum(axis=1), atol=1e-5)
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=1))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", [(1, 9, 8), (8, 8), (1, 64)])
def test_wrong_shape_is_refused(out: Path, version: str, shape: tuple[int, ...]) -> None:
    """ONNX Runtime refuses an image that is not [batch, 8, 8], and says which input it was."""
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument, match="image"):
        open_model(out, version).run(None, {"image": np.zeros(shape, np.float32)})
