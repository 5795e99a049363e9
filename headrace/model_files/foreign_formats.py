"""Recognises models in other formats than ONNX, by content or by name, and says how to export them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headrace import errors

PAGE = "docs/export-your-model.md"
"""The page that says how to export, with every step."""

_HEAD_BYTES = 512
_MOST_ENTRIES = 10_000
_MOST_SAFETENSORS_HEADER = 100_000_000


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """A format that is not ONNX: what a file of it is, how it becomes ONNX, and where that is explained."""

    kind: str
    remedy: str
    section: str = ""

    def __str__(self) -> str:
        """Return what it is and what to do, for the end of a sentence that begins with the file's name."""
        where = f"; {PAGE}#{self.section} says how" if self.section else ""
        return f"is {self.kind}, not an ONNX graph: {self.remedy}{where}"


PYTORCH = ForeignFormat(
    "a PyTorch file",
    "load it in Python and export it with torch.onnx.export(model, example_inputs, 'model.onnx')",
    "pytorch",
)
SAFETENSORS = ForeignFormat(
    "a safetensors file (weights without a graph)",
    "export the model with `optimum-cli export onnx --model FOLDER OUTPUT`, or with torch.onnx.export",
    "hugging-face",
)
GGUF = ForeignFormat(
    "a GGUF file of llama.cpp",
    "`headrace import gguf FILE NAME` makes it one, and pushes that",
    "gguf",
)
PICKLE = ForeignFormat(
    "a pickled Python object",
    "load it in Python and convert it: scikit-learn with skl2onnx.to_onnx, PyTorch with torch.onnx.export",
    "scikit-learn",
)
TENSORFLOW = ForeignFormat(
    "a TensorFlow model",
    "convert it with `python -m tf2onnx.convert --saved-model FOLDER --output model.onnx`",
    "keras-and-tensorflow",
)
KERAS = ForeignFormat(
    "a Keras file",
    "load it in Python and export it with model.export('model.onnx', format='onnx')",
    "keras-and-tensorflow",
)
TFLITE = ForeignFormat(
    "a TensorFlow Lite file",
    "convert it with `python -m tf2onnx.convert --tflite model.tflite --output model.onnx`",
    "keras-and-tensorflow",
)
LIGHTGBM = ForeignFormat(
    "a LightGBM model", "convert it with onnxmltools.convert_lightgbm", "lightgbm"
)
XGBOOST = ForeignFormat(
    "an XGBoost model", "convert it with onnxmltools.convert_xgboost", "xgboost"
)
ORT = ForeignFormat(
    "a file in ONNX Runtime's own format (.ort)", "push the .onnx file that it was made from"
)
GIT_LFS = ForeignFormat(
    "a pointer of Git LFS (the file itself was not fetched)", "`git lfs pull` fetches it"
)
WEB_PAGE = ForeignFormat(
    "a web page", "download the file itself; sites that show files have a link for that"
)

_BY_NAME: dict[str, ForeignFormat] = {
    ".pt": PYTORCH,
    ".pth": PYTORCH,
    ".ckpt": PYTORCH,
    ".pt2": PYTORCH,
    ".safetensors": SAFETENSORS,
    ".gguf": GGUF,
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".joblib": PICKLE,
    ".pb": TENSORFLOW,
    ".h5": KERAS,
    ".hdf5": KERAS,
    ".keras": KERAS,
    ".tflite": TFLITE,
    ".ubj": XGBOOST,
    ".xgb": XGBOOST,
    ".ort": ORT,
}
"""By the ending of a file's name."""

_TELLING_NAMES: tuple[tuple[Callable[[str], bool], ForeignFormat], ...] = (
    (lambda name: name.endswith("saved_model.pb"), TENSORFLOW),
    (lambda name: name.endswith("model.weights.h5"), KERAS),
    (lambda name: name.endswith("data.pkl"), PYTORCH),
    (lambda name: name.endswith(".safetensors"), SAFETENSORS),
    (lambda name: name.endswith("pytorch_model.bin"), PYTORCH),
    (lambda name: PurePosixPath(name).suffix in {".pt", ".pth", ".ckpt"}, PYTORCH),
    (lambda name: PurePosixPath(name).suffix in {".h5", ".keras"}, KERAS),
    (lambda name: name.endswith(".tflite"), TFLITE),
    (lambda name: PurePosixPath(name).suffix in {".pkl", ".joblib"}, PICKLE),
)
"""What files of a folder or an archive say of all of it, the surest first."""


def format_of_name(name: str) -> ForeignFormat | None:
    """The format that a file's name stands for; None for names of ONNX graphs and for unknown ones."""
    return _BY_NAME.get(PurePosixPath(name.lower()).suffix)


def format_of_files(names: Iterable[str]) -> ForeignFormat | None:
    """The format of a folder or an archive without a graph, by the names of its files."""
    lowered = [name.lower() for name in names]
    for tells, found in _TELLING_NAMES:
        if any(map(tells, lowered)):
            return found
    return None


def format_of_content(file: Path) -> ForeignFormat | None:
    """The format of a file by its bytes; None where they are unknown, or an ordinary archive's."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if head.startswith(b"PK\3\4"):
        return _format_of_zip(file)
    return _format_of_head(head)


def not_onnx(name: str, found: ForeignFormat) -> errors.InvalidArgument:
    """The error for what is pushed in another format."""
    return errors.InvalidArgument("MODEL_NOT_ONNX", f"{name} {found}")


def _format_of_zip(file: Path) -> ForeignFormat | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()[:_MOST_ENTRIES]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return None
    if any(name.lower().endswith(".onnx") for name in names):
        return None
    return format_of_files(names)


def _format_of_head(head: bytes) -> ForeignFormat | None:
    if _is_pickle(head):
        return PICKLE
    if _is_safetensors(head):
        return SAFETENSORS
    text = head.lstrip().lower()
    for begins, found in (
        (head.startswith(b"\x89HDF\r\n\x1a\n"), KERAS),
        (head[4:8] == b"TFL3", TFLITE),
        (head[4:8] == b"ORTM", ORT),
        (head.startswith(b"GGUF"), GGUF),
        (head.startswith(b"version https://git-lfs"), GIT_LFS),
        (head.startswith(b"tree\nversion="), LIGHTGBM),
        (head.startswith(b"{L\x00\x00\x00\x00\x00\x00"), XGBOOST),
        (b'"learner":' in head[:64], XGBOOST),
        (text.startswith((b"<!doctype html", b"<html")), WEB_PAGE),
    ):
        if begins:
            return found
    return None


def _is_pickle(head: bytes) -> bool:
    """Return whether a pickle of protocol 2 to 5 begins: its number, then a frame or its opcode."""
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _is_safetensors(head: bytes) -> bool:
    """Return whether the length of a JSON header comes first, and then that header."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= _MOST_SAFETENSORS_HEADER
