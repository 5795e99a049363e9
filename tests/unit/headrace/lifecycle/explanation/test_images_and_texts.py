"""Patches of images in every layout, and tokens of texts in every script."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.lifecycle.explanation import (
    Effort,
    Method,
    blurred,
    explain,
    image_grid,
    image_mean,
)
from headrace.lifecycle.explanation.tokens import TextMasker, tokens_of
from headrace.state.records import Signature, TensorSpec
from tests.unit.headrace.lifecycle.explanation.nets import patch_detector, session

SIDE = 16


@pytest.mark.parametrize(
    "shape",
    [
        ["rows", 3, SIDE, SIDE],
        ["rows", 1, SIDE, SIDE],
        ["rows", SIDE, SIDE, 3],
        ["rows", SIDE, SIDE, 1],
        ["rows", SIDE, SIDE],
    ],
)
@pytest.mark.parametrize("baseline", [image_mean, blurred])
async def test_map_is_where_the_model_looks(shape: list[Any], baseline: Any) -> None:
    """A model that sees one square of an image has its worth there, in every layout."""
    sizes = [1, *shape[1:]]
    here = {"x": np.random.default_rng(0).random(sizes).astype(np.float32) * 0.1}
    square = (slice(8, 12), slice(4, 8))
    if shape[-1] in (1, 3):
        here["x"][0, *square] = 1
    else:
        here["x"][(..., *square)] = 1
    grid = image_grid(here, "x", [-1, *shape[1:]], 2)
    found = await explain(
        session(patch_detector(shape, 8, 4, 4)),
        here,
        baseline=baseline(here, grid),
        grid=grid,
        methods=["occlusion", "shapley"],
        effort=Effort(pairs=2),
    )
    for each in found.attributions:
        seen = grid.map_of(each.values)
        assert (SIDE, SIDE) == seen.shape
        assert seen[square].sum() > 0.5 * np.abs(seen).sum()
        top, left = np.unravel_index(seen.argmax(), seen.shape)
        assert 8 <= top < 12
        assert 4 <= left < 8


def test_pixels_of_whole_numbers_stay_whole() -> None:
    """An image of bytes is blurred into bytes."""
    here = {"x": np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)}
    grid = image_grid(here, "x", [-1, 8, 8, 3])
    assert np.uint8 == blurred(here, grid).rows["x"].dtype
    assert 95 == pytest.approx(image_mean(here, grid).rows["x"].mean(), abs=1)
    assert 64 == len(grid.features)


def test_vectors_are_no_images() -> None:
    """The message says what an image input looks like."""
    with pytest.raises(errors.InvalidArgument, match="no row of an image"):
        image_grid({"x": np.zeros((1, 9))}, "x", [-1, 9])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's a well-made film.", ["It's", "a", "well-made", "film"]),
        ("这部电影很好看!", list("这部电影很好看")),
        ("iPhone 很 good", ["iPhone", "很", "good"]),
        ("naïve café — Ærø", ["naïve", "café", "Ærø"]),
        ("поезд опоздал", ["поезд", "опоздал"]),
        ("3.5 stars!!", ["3.5", "stars"]),
        ("...", []),
    ],
)
def test_tokens_are_words_or_characters(text: str, expected: list[str]) -> None:
    """Words by Unicode's boundaries; characters where scripts write no spaces."""
    assert expected == [token.text for token in tokens_of(text)]


def test_tokens_are_left_out_or_replaced() -> None:
    """The rest of the text stays as it was, punctuation included."""
    here = {"text": np.array([b"A good, honest film."], dtype=object)}
    masker = TextMasker(here, "text")
    assert "A good, honest film." == masker.without([True] * 4)
    assert "A, honest film." == masker.without([True, False, True, True])
    assert "A ?, honest ?." == TextMasker(here, "text", "?").without([True, False, True, False])
    with pytest.raises(errors.InvalidArgument, match="no words"):
        TextMasker({"text": np.array([b"?!"], dtype=object)}, "text")


class GoodLessBad:
    """Counts the word good, less bad."""

    signature = Signature((TensorSpec("text", Datatype.BYTES, (-1,)),), ())
    requests = 0

    async def predict(self, inputs: Any) -> dict[str, Any]:
        """A score a row."""
        texts = [text.decode().lower() for text in inputs["text"]]
        return {"score": np.array([[t.count("good") - 2 * t.count("bad")] for t in texts], float)}


async def test_words_get_what_they_add() -> None:
    """Each word is worth what it adds; those that the model does not know are worth nothing."""
    here = {"text": np.array([b"Good actors, bad plot"], dtype=object)}
    found = await explain(GoodLessBad(), here, text="text")
    assert ["Good", "actors", "bad", "plot"] == [feature.name for feature in found.features]
    assert [Method.OCCLUSION, Method.SHAPLEY] == [each.method for each in found.attributions]
    for each in found.attributions:
        assert pytest.approx([1, 0, -2, 0]) == list(each.values)
    assert "Good actors, bad plot" == found.text


async def test_gradients_of_texts_are_refused_by_name() -> None:
    """There are none."""
    here = {"text": np.array([b"Good"], dtype=object)}
    with pytest.raises(errors.InvalidArgument, match="texts have no gradients"):
        await explain(GoodLessBad(), here, text="text", methods=["integrated-gradients"])
