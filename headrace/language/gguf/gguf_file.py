"""Opens a GGUF file: its metadata, and where its tensors lie, which are read a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from headrace.language.gguf.byte_reader import ByteReader, Value
from headrace.language.gguf.refusals import invalid, unsupported

if TYPE_CHECKING:
    from headrace.language.decoder_graph import FloatArray

RowNumbers = npt.NDArray[np.int64]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_ENTRIES = 2**16
"""Of metadata, and of tensors."""
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where a tensor lies, and how its numbers are kept."""

    name: str
    type_number: int
    type_name: str
    shape: tuple[int, ...]
    """With the rows first, the other way round than in the file."""
    row_bytes: int
    offset: int

    @property
    def rows(self) -> int:
        """Count its rows; a vector is one."""
        return math.prod(self.shape[:-1])


@dataclass(frozen=True, slots=True)
class GgufFile:
    """An open file; valid inside open_gguf's block."""

    metadata: Mapping[str, Value]
    tensors: Mapping[str, TensorPlace]
    _file: BinaryIO

    def rows(self, place: TensorPlace, rows: RowNumbers | slice) -> FloatArray:
        """Some rows of a tensor as floats. Raises InvalidArgument where a number is not finite."""
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        chosen = self._packed(place, rows)
        with np.errstate(all="ignore"):
            made: FloatArray = dequantize(chosen, GGMLQuantizationType(place.type_number))
        if not np.isfinite(made).all():
            raise invalid(f"the tensor {place.name} has numbers that are not finite")
        return made.astype(np.float32, copy=False)

    def _packed(self, place: TensorPlace, rows: RowNumbers | slice) -> npt.NDArray[np.uint8]:
        """Rows as they are kept. They are read, not mapped: pages of a map would stay in memory."""
        start, stop, _ = (rows if isinstance(rows, slice) else slice(None)).indices(place.rows)
        self._file.seek(place.offset + start * place.row_bytes)
        read = self._file.read((stop - start) * place.row_bytes)
        packed = np.frombuffer(read, np.uint8).reshape(stop - start, place.row_bytes)
        return packed if isinstance(rows, slice) else packed[rows]


@contextmanager
def open_gguf(path: Path) -> Iterator[GgufFile]:
    """Open a file and read its header. Raises InvalidArgument (GGUF_INVALID, GGUF_UNSUPPORTED)."""
    with path.open("rb") as file:
        if path.stat().st_size < len(MAGIC):
            raise invalid("it has no header")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            metadata, tensors = _header(data)
        yield GgufFile(metadata, tensors, file)


def _header(data: mmap) -> tuple[dict[str, Value], dict[str, TensorPlace]]:
    reader = ByteReader(data)
    start = reader.take(len(MAGIC), "its first bytes")
    if data[start : reader.at] != MAGIC:
        raise invalid("it does not begin with 'GGUF'")
    version = reader.scalar("I", "its version")
    if version not in VERSIONS:
        raise unsupported(f"version {version} of GGUF", "2 and 3 can be, in little-endian order")
    tensors, entries = _counts(reader)
    metadata: dict[str, Value] = {}
    for _ in range(entries):
        key = reader.text("a key")
        if key in metadata:
            raise invalid(f"{key} is there twice")
        metadata[key] = reader.value(key)
    return metadata, _tensors(reader, tensors, _alignment(metadata))


def _counts(reader: ByteReader) -> tuple[int, int]:
    counts = reader.scalar("Q", "its counts"), reader.scalar("Q", "its counts")
    if max(counts) > MAX_ENTRIES:
        raise invalid(f"it claims {max(counts)} entries, and may have {MAX_ENTRIES}")
    return counts


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= 2**20 or alignment & alignment - 1:
        raise invalid(f"general.alignment is {alignment!r}, and has to be a power of 2")
    return alignment


def _tensors(reader: ByteReader, count: int, alignment: int) -> dict[str, TensorPlace]:
    read = [_tensor(reader) for _ in range(count)]
    start = reader.at + -reader.at % alignment
    placed: dict[str, TensorPlace] = {}
    for place in read:
        offset = start + place.offset
        if place.name in placed:
            raise invalid(f"the tensor {place.name} is there twice")
        if offset + place.rows * place.row_bytes > len(reader.data):
            raise invalid(f"it ends within the tensor {place.name}")
        placed[place.name] = TensorPlace(
            place.name,
            place.type_number,
            place.type_name,
            place.shape,
            place.row_bytes,
            offset,
        )
    return placed


def _tensor(reader: ByteReader) -> TensorPlace:
    name = reader.text("a tensor's name")
    dimensions = reader.scalar("I", f"the tensor {name}")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise invalid(
            f"the tensor {name} has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} can be"
        )
    shape = tuple(reader.scalar("Q", f"the tensor {name}") for _ in range(dimensions))[::-1]
    if min(shape) < 1 or math.prod(shape) > 2**48:
        raise invalid(f"the tensor {name} has the shape {list(shape)}")
    kind, offset = reader.scalar("I", name), reader.scalar("Q", name)
    type_name, row_bytes = _row(name, kind, shape[-1])
    return TensorPlace(name, kind, type_name, shape, row_bytes, offset)


def _row(name: str, kind: int, length: int) -> tuple[str, int]:
    """The name of a type of numbers, and the bytes of a row of them."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        known = GGMLQuantizationType(kind)
        block, size = GGML_QUANT_SIZES[known]
        dequantize(np.zeros((1, size), np.uint8), known)
    except (ValueError, KeyError, NotImplementedError) as error:
        called = f"type {kind}" if isinstance(error, ValueError | KeyError) else known.name
        raise unsupported(
            f"the tensor {name}, whose numbers are {called},",
            "F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K and the IQ types can be",
        ) from error
    if length % block:
        raise invalid(f"a row of the tensor {name} has {length} numbers, no multiple of {block}")
    return known.name, length // block * size
