"""Trains both digit classifiers, exports them to ONNX and checks the exported files."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
from classifiers import Classifier, Trained, train_logistic_regression, train_perceptron
from export import build_model
from images import Digits, as_features, load_split

_TOLERANCE: Final = 1e-4
"""How far a probability may be from scikit-learn's: room for rounding, not for a wrong graph."""

_VERSIONS: Final[dict[str, tuple[str, Callable[[Digits], Trained]]]] = {
    "v1": ("logistic regression", train_logistic_regression),
    "v2": ("multilayer perceptron", train_perceptron),
}


def main() -> None:
    """Write `v1/model.onnx`, `v2/model.onnx` and the held-back digits into the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder to write into; made if missing")
    parser.add_argument(
        "--only", choices=_VERSIONS, help="train this one alone: v1 takes no second"
    )
    given = parser.parse_args()
    out: Path = given.out
    training, held_back = load_split()
    write_held_back(out, held_back)
    print(f"digits: {len(training.labels)} images to train, {len(held_back.labels)} held back")
    for version, (name, train) in _VERSIONS.items():
        if given.only not in (None, version):
            continue
        started = time.monotonic()
        classifier, layers = train(training)
        seconds = time.monotonic() - started
        path = out / version / "model.onnx"
        write_model(path, build_model(layers, f"Handwritten digits, {name}"))
        accuracy = check_model(path, classifier, held_back)
        print(f"{version}: {name}, held-back accuracy {accuracy:.1%}, trained in {seconds:.1f} s")
    print(f"written to {out}")


def write_held_back(folder: Path, digits: Digits) -> None:
    """Save the images, FP32 [n, 8, 8], and their labels, INT64 [n], as two NumPy files."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "heldout_images.npy", digits.images)
    np.save(folder / "heldout_labels.npy", digits.labels)


def write_model(path: Path, model: onnx.ModelProto) -> None:
    """Save the model, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def check_model(path: Path, classifier: Classifier, digits: Digits) -> float:
    """The accuracy of the exported model on these digits, as ONNX Runtime answers.

    Ends the script if the exported model does not answer as the classifier it came from.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"image": digits.images})
    features = as_features(digits.images)
    expected = classifier.predict_proba(features)
    same_labels = np.array_equal(label, classifier.predict(features))
    if not same_labels or not np.allclose(probabilities, expected, rtol=0, atol=_TOLERANCE):
        raise SystemExit(f"{path} does not answer as the classifier it was exported from")
    return float(np.mean(label == digits.labels))


if __name__ == "__main__":
    main()
