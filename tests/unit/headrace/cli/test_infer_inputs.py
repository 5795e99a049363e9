"""Files and values of `headrace infer` as the inputs of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from headrace.cli.images import Preprocess, read_image
from headrace.cli.inputs import parse_inputs, read_inputs
from headrace.client.tensors import ModelMetadata, TensorMetadata
from headrace.datatypes import Datatype
from headrace.images import Layout, layout_of

FREE = -1


def model(*inputs: tuple[str, Datatype, tuple[int, ...]]) -> ModelMetadata:
    """A model that takes these."""
    tensors = tuple(TensorMetadata(*each) for each in inputs)
    return ModelMetadata("net", ("1",), "", tensors, ())


IRIS = model(("x", Datatype.FP32, (FREE, 4)))
TEXT = model(("text", Datatype.BYTES, (FREE,)))
NONE = model()
FLATTEN = {"onnx::Flatten_0": [True]}
TWO = model(("age", Datatype.INT64, (FREE, 1)), ("city", Datatype.BYTES, (FREE, 1)))


def read(metadata: ModelMetadata, *values: str) -> dict[str, Any]:
    """The inputs as the command reads them."""
    return read_inputs(parse_inputs((), values), metadata, Preprocess.AUTO)


@pytest.mark.parametrize(
    ("metadata", "value", "expected"),
    [
        (IRIS, "[1, 2, 3, 4]", {"x": [[1, 2, 3, 4]]}),
        (IRIS, "[[1, 2, 3, 4]]", {"x": [[1, 2, 3, 4]]}),
        (IRIS, "x=[1, 2, 3, 4]", {"x": [[1, 2, 3, 4]]}),
        (IRIS, '{"x": [[1, 2, 3, 4]]}', {"x": [[1, 2, 3, 4]]}),
        (TEXT, "a = b, said he", {"text": ["a = b, said he"]}),
        (TEXT, "text=hello", {"text": ["hello"]}),
        (TEXT, '["a", "b"]', {"text": ["a", "b"]}),
        (TEXT, "42", {"text": ["42"]}),
        (model(("flag", Datatype.BOOL, ())), "true", {"flag": True}),
        (model(("onnx::Flatten_0", Datatype.BOOL, (1,))), "onnx::Flatten_0=[true]", FLATTEN),
    ],
)
def test_values_in_place(metadata: ModelMetadata, value: str, expected: dict[str, Any]) -> None:
    """A row each: one row needs no brackets of its own, text no quotes, the only input no name."""
    assert expected == read(metadata, value)


def test_rows_of_several_inputs_need_no_brackets_either() -> None:
    """Values by name are padded as the only one is."""
    assert {"age": [[7]], "city": [["Oslo"]]} == read(TWO, "age=[7]", 'city=["Oslo"]')


def test_a_model_without_inputs_is_given_none() -> None:
    """It runs, and a model with inputs says which it takes."""
    assert read(NONE) == {}
    with pytest.raises(typer.BadParameter, match="net takes age, city; give a value: @image"):
        read(TWO)


def test_tables(tmp_path: Path) -> None:
    """Columns go to the inputs of their names; all of them are rows of the only input."""
    table = tmp_path / "people.csv"
    table.write_text("city,age,more\nOslo,7,x\nRome,8,y\n", encoding="utf-8")
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("1,2,3,4\n5,6,7,8.5\n")
    headed = tmp_path / "headed.csv"
    headed.write_text("a,b,c,d\n1,2,3,4\n")

    assert {"age": [[7], [8]], "city": [["Oslo"], ["Rome"]]} == read(TWO, f"@{table}")
    assert {"x": [[1, 2, 3, 4], [5, 6, 7, 8.5]]} == read(IRIS, f"@{numbers}")
    assert {"x": [[1, 2, 3, 4]]} == read(IRIS, f"@{headed}")


def test_arrays_and_text(tmp_path: Path) -> None:
    """An .npz has an array for each input, an .npy one, a .txt a text."""
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    np.savez(tmp_path / "both.npz", age=np.array([[1]]), city=np.array([["Rome"]]))
    (tmp_path / "t.txt").write_text("two\nlines\n")

    assert (1, 4) == read(IRIS, f"@{tmp_path}/x.npy")["x"].shape
    assert {"age", "city"} == read(TWO, f"@{tmp_path}/both.npz").keys()
    assert {"text": ["two\nlines"]} == read(TEXT, f"@{tmp_path}/t.txt")


def test_values_of_several_inputs_come_from_files(tmp_path: Path) -> None:
    """An .npy is an array as it is, a .json a list."""
    np.save(tmp_path / "age.npy", np.ones((2, 1), np.int16))
    (tmp_path / "city.json").write_text('[["Oslo"], ["Rome"]]')
    inputs = read(TWO, f"age=@{tmp_path}/age.npy", f"city=@{tmp_path}/city.json")

    assert inputs["age"].dtype == np.int16
    assert inputs["city"] == [["Oslo"], ["Rome"]]


def test_pickled_arrays_are_not_run(tmp_path: Path) -> None:
    """An .npy file that would run code when read is refused."""
    np.save(tmp_path / "x.npy", np.array([object()]), allow_pickle=True)

    with pytest.raises(typer.BadParameter, match="cannot read"):
        read(IRIS, f"@{tmp_path}/x.npy")


@pytest.mark.parametrize(
    ("metadata", "content", "value", "words"),
    [
        (IRIS, "", "[1", "is not JSON"),
        (IRIS, "1,2\n3\n", "@{}/data.csv", "row 2 has 1 columns"),
        (IRIS, "1,2\n3,many\n", "@{}/data.csv", "'many' in row 2 is not FP32"),
        (IRIS, "", "@{}/data.csv", "has no rows"),
        (TWO, "a,b\n1,2\n", "@{}/data.csv", "net takes age, city"),
        (TWO, "", "[1]", "write NAME="),
        (IRIS, "", "x=@{}/gone.npy", "cannot read"),
        (IRIS, "", "@{}/notes.docx", "is not a file that can be sent"),
        (IRIS, "1,2", "{}/data.csv", "is a file: write @"),
    ],
)
def test_wrong_values_say_what_to_write(
    metadata: ModelMetadata, content: str, value: str, words: str, tmp_path: Path
) -> None:
    """A row each: a typical mistake, and words of its remedy."""
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(typer.BadParameter, match=words):
        read(metadata, value.format(tmp_path))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((FREE, 3, 224, 224), Layout(4, 3, 224, 224)),
        ((1, FREE, FREE, FREE), Layout(4, 3, FREE, FREE)),
        ((FREE, 1, 28, 28), Layout(4, 1, 28, 28)),
        ((FREE, 32, 48, 3), Layout(4, 3, 32, 48, channels_last=True)),
        ((FREE, FREE, FREE, 1), Layout(4, 1, FREE, FREE, channels_last=True)),
        ((3, 8, 9), Layout(3, 3, 8, 9)),
        ((8, 9, 3), Layout(3, 3, 8, 9, channels_last=True)),
        ((FREE, 28, 28), Layout(3, 1, 28, 28, has_channels=False)),
        ((28, 28), Layout(2, 1, 28, 28, has_channels=False)),
        ((FREE, 4), None),
        ((8, 3, 32, 32), None),
        ((FREE, 128, 32, 32), None),
    ],
)
def test_layouts(shape: tuple[int, ...], expected: Layout | None) -> None:
    """A row each: a shape, and where an image's height, width and channels lie in it."""
    assert expected == layout_of(shape)


def red_image(folder: Path) -> Path:
    """An image of 6 by 4 pixels, all of one colour."""
    image = pytest.importorskip("PIL.Image")
    path = folder / "red.png"
    image.new("RGB", (6, 4), (255, 0, 51)).save(path)
    return path


@pytest.mark.parametrize(
    ("datatype", "shape", "preprocess", "expected_shape", "pixel"),
    [
        (Datatype.UINT8, (FREE, FREE, FREE, 3), "auto", (1, 4, 6, 3), [255, 0, 51]),
        (Datatype.FP32, (FREE, 3, 2, 2), "auto", (1, 3, 2, 2), [1, 0, 0.2]),
        (Datatype.FP16, (3, 2, 2), "none", (3, 2, 2), [255, 0, 51]),
        (Datatype.FP32, (FREE, 3, 2, 2), "signed", (1, 3, 2, 2), [1, -1, -0.6]),
        (
            Datatype.FP32,
            (FREE, 3, 2, 2),
            "imagenet",
            (1, 3, 2, 2),
            [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225],
        ),
        (Datatype.INT32, (FREE, 5, 7), "auto", (1, 5, 7), [82]),
    ],
)
def test_images_are_made_to_fit(
    datatype: Datatype,
    shape: tuple[int, ...],
    preprocess: str,
    expected_shape: tuple[int, ...],
    pixel: list[float],
    tmp_path: Path,
) -> None:
    """A row each: an input, a preprocessing, and what the first pixel becomes."""
    tensor = TensorMetadata("image", datatype, shape)
    array = read_image(red_image(tmp_path), tensor, Preprocess(preprocess))
    layout = layout_of(shape)
    assert layout is not None
    channels_first = array if layout.has_channels else array[..., None, :, :]
    moved = channels_first if not layout.channels_last else np.moveaxis(array, -1, -3)

    assert expected_shape == array.shape
    assert datatype.value.lower().replace("fp", "float") == array.dtype.name
    np.testing.assert_allclose(moved[..., 0, 0].ravel(), pixel, rtol=1e-2)


def test_graphs_that_decode_images_get_the_file(tmp_path: Path) -> None:
    """Bytes, as a flat UINT8 or as a text."""
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG")
    flat = read_image(path, TensorMetadata("x", Datatype.UINT8, (FREE,)), Preprocess.AUTO)
    text = read_image(path, TensorMetadata("x", Datatype.BYTES, (FREE, 1)), Preprocess.AUTO)

    assert b"\x89PNG" == flat.tobytes()
    assert [[b"\x89PNG"]] == text.tolist()


@pytest.mark.parametrize(
    ("tensor", "preprocess", "words"),
    [
        (IRIS.inputs[0], "auto", "is not an image"),
        (TensorMetadata("x", Datatype.UINT8, (FREE, 3, 2, 2)), "unit", "makes fractions"),
        (TensorMetadata("x", Datatype.FP32, (FREE, 3, 2, 2)), "auto", "cannot read the image"),
    ],
)
def test_wrong_images_are_refused(
    tensor: TensorMetadata, preprocess: str, words: str, tmp_path: Path
) -> None:
    """A row each: an input that takes none, a scaling that it cannot hold, a file that is none."""
    pytest.importorskip("PIL")
    path = tmp_path / "x.jpg"
    path.write_bytes(b"not an image")
    with pytest.raises(typer.BadParameter, match=words):
        read_image(path, tensor, Preprocess(preprocess))
