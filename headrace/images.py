"""Images as the tensors that a model's signature asks for: decoded, resized, scaled and laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from headrace.datatype_names import Datatype
from headrace.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:  # numpy is loaded with the first image
    import numpy.typing as npt
    from PIL.Image import Image

    Array = npt.NDArray[Any]

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FREE = -1
_CHANNELS = (1, 3)
_WHOLE = (
    Datatype.UINT8,
    Datatype.UINT16,
    Datatype.INT16,
    Datatype.UINT32,
    Datatype.INT32,
    Datatype.UINT64,
    Datatype.INT64,
)
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_CROPPED = 224 / 256
"""What the recipe of ImageNet keeps of each side."""


class Preprocess(StrEnum):
    """The ways from an image's pixels, 0 to 255, to a model's numbers."""

    AUTO = "auto"
    NONE = "none"
    UNIT = "unit"
    SIGNED = "signed"
    IMAGENET = "imagenet"


class ImageInput(Protocol):
    """An input as signatures and a replica's metadata have them."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def datatype(self) -> Datatype:
        """The type of its values."""

    @property
    def shape(self) -> Sequence[int]:
        """Its sizes, -1 where they are free."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes of height, width and channels in an input, and their sizes; FREE: the image decides."""

    rank: int
    channels: int
    height: int
    width: int
    channels_last: bool = False
    has_channels: bool = True


def layout_of(shape: Sequence[int]) -> Layout | None:
    """The layout of an input that can take one image; None for an input that cannot."""
    rank = len(shape)
    if rank == 4 and shape[0] not in (1, FREE):
        return None
    if rank in (3, 4):
        first, middle, last = shape[-3:]
        if first in _CHANNELS or (first == FREE and last not in _CHANNELS and rank == 4):
            return Layout(rank, first if first > 0 else 3, middle, last)
        if last in _CHANNELS:
            return Layout(rank, last, first, middle, channels_last=True)
        if rank == 3 and first == FREE:
            return Layout(rank, 1, middle, last, has_channels=False)
    if rank == 2 and all(size > 1 for size in shape):
        return Layout(rank, 1, shape[0], shape[1], has_channels=False)
    return None


def read_image(path: Path, tensor: ImageInput, preprocess: Preprocess) -> Array:
    """An image as an input's array, of one row.

    Raises InvalidArgument (IMAGE_INVALID), FailedPrecondition (IMAGE_LIBRARY_MISSING).
    """
    if tensor.datatype is Datatype.BYTES:
        return _encoded_as_text(path, tensor)
    if tensor.datatype is Datatype.UINT8 and len(tensor.shape) == 1:
        return _encoded(path)
    layout = layout_of(tensor.shape)
    if layout is None or tensor.datatype is Datatype.BOOL:
        raise _invalid(
            f"input {tensor.name!r} takes {tensor.datatype} {list(tensor.shape)}, which is not an image: "
            "an image has a shape such as [rows, 3, height, width] or [rows, height, width, 3]"
        )
    chosen = _chosen(preprocess, tensor)
    image = _resized(_opened(path, layout.channels), layout, cropped=chosen is Preprocess.IMAGENET)
    return _laid_out(image, layout, chosen, tensor.datatype)


def _chosen(preprocess: Preprocess, tensor: ImageInput) -> Preprocess:
    whole = tensor.datatype in _WHOLE
    if preprocess is Preprocess.AUTO:
        return Preprocess.NONE if whole else Preprocess.UNIT
    if whole and preprocess is not Preprocess.NONE:
        raise _invalid(
            f"--preprocess {preprocess} makes fractions, and input {tensor.name!r} takes "
            f"{tensor.datatype}: leave it out"
        )
    return preprocess


def _opened(path: Path, channels: int) -> Image:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise FailedPrecondition(
            "IMAGE_LIBRARY_MISSING", "reading images needs Pillow: pip install 'headrace[images]'"
        ) from None
    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image)
            return turned.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _invalid(f"cannot read the image {path}: {error}") from error


def _resized(image: Image, layout: Layout, *, cropped: bool) -> Image:
    from PIL import Image, ImageOps

    width = layout.width if layout.width != FREE else image.width
    height = layout.height if layout.height != FREE else image.height
    if not cropped:
        return image.resize((width, height), Image.Resampling.BILINEAR)
    whole = (round(width / _CROPPED), round(height / _CROPPED))
    fitted = ImageOps.fit(image, whole, Image.Resampling.BILINEAR)
    left, top = (whole[0] - width) // 2, (whole[1] - height) // 2
    return fitted.crop((left, top, left + width, top + height))


def _laid_out(image: Image, layout: Layout, preprocess: Preprocess, datatype: Datatype) -> Array:
    import numpy as np

    from headrace.datatypes import NUMPY_DTYPES

    pixels: Array = np.asarray(image, dtype=np.float32)
    pixels = pixels.reshape(image.height, image.width, layout.channels)
    scaled = _scaled(pixels, preprocess)
    if not layout.has_channels:
        scaled = scaled[:, :, 0]
    elif not layout.channels_last:
        scaled = scaled.transpose(2, 0, 1)
    batched = scaled.reshape((1,) * (layout.rank - scaled.ndim) + scaled.shape)
    return np.ascontiguousarray(batched).astype(NUMPY_DTYPES[datatype])


def _scaled(pixels: Array, preprocess: Preprocess) -> Array:
    import numpy as np

    match preprocess:
        case Preprocess.UNIT:
            return pixels / 255
        case Preprocess.SIGNED:
            return pixels / 127.5 - 1
        case Preprocess.IMAGENET:
            mean, deviation = np.array(_MEAN, np.float32), np.array(_DEVIATION, np.float32)
            return (pixels / 255 - mean) / deviation
        case _:
            return pixels


def _encoded(path: Path) -> Array:
    """The file's bytes, for graphs that decode images themselves."""
    import numpy as np

    return np.frombuffer(_bytes_of(path), np.uint8)


def _encoded_as_text(path: Path, tensor: ImageInput) -> Array:
    import numpy as np

    array: Array = np.empty((1,) * len(tensor.shape), dtype=object)
    array[...] = _bytes_of(path)
    return array


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _invalid(f"cannot read {path}: {error}") from error


def _invalid(what: str) -> InvalidArgument:
    return InvalidArgument("IMAGE_INVALID", what)
