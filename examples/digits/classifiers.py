"""The two classifiers: a modest one that saw few images, and a better one that saw them all."""

from typing import Final, Protocol, TypeAlias, cast

import numpy as np
from export import Layer
from images import Digits, as_features
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

_SEED: Final = 0
_FEW_IMAGES: Final = 100
_HIDDEN_SIZES: Final = (128, 64)
_MOST_EPOCHS: Final = 200


class Classifier(Protocol):
    """The part of a trained scikit-learn classifier that this example needs."""

    def predict(self, features: NDArray[np.float32], /) -> NDArray[np.int64]:
        """The digit in each row: FP32 [n, 64] to INT64 [n]."""

    def predict_proba(self, features: NDArray[np.float32], /) -> NDArray[np.floating]:
        """The probability of each digit: FP32 [n, 64] to floats [n, 10]."""


Trained: TypeAlias = tuple[Classifier, list[Layer]]
"""A classifier, and its weights in a form that can be exported."""


def train_logistic_regression(digits: Digits) -> Trained:
    """Version 1: multinomial logistic regression on a hundred of the images."""
    few = digits.sample(_FEW_IMAGES)
    model = LogisticRegression(max_iter=200).fit(as_features(few.images), few.labels)
    return cast(Classifier, model), [_layer(model.coef_.T, model.intercept_)]


def train_perceptron(digits: Digits) -> Trained:
    """Version 2: a multilayer perceptron (ReLU) on all images and their one-pixel shifts."""
    many = digits.with_shifts()
    model = MLPClassifier(_HIDDEN_SIZES, max_iter=_MOST_EPOCHS, random_state=_SEED)
    model.fit(as_features(many.images), many.labels)
    weights = zip(model.coefs_, model.intercepts_, strict=True)
    return cast(Classifier, model), [_layer(matrix, bias) for matrix, bias in weights]


def _layer(matrix: ArrayLike, bias: ArrayLike) -> Layer:
    """Weights [inputs, outputs] and bias [outputs] of any float type, as an FP32 layer."""
    return Layer(np.asarray(matrix, np.float32), np.asarray(bias, np.float32))
