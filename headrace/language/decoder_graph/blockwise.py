"""Quantises matrices in blocks along their rows, as ONNX Runtime's MatMulNBits takes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.language.decoder_graph.weights import FloatArray

BLOCK_SIZE = 32
"""How many weights of a row share a scale."""

ByteArray = npt.NDArray[np.uint8]


def quantized(matrix: FloatArray, bits: int) -> tuple[ByteArray, FloatArray]:
    """Return codes [rows, blocks, bytes of a block] and scales [rows, blocks]; zero is the middle code."""
    blocks = _in_blocks(matrix)
    if bits == 8:
        return _int8(blocks)
    return _int4(blocks)


def signed_codes(matrix: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Return codes of 8 bits [rows, columns] and scales [rows, blocks]; zero is 0."""
    rows, columns = matrix.shape
    codes, scales = quantized(matrix, 8)
    return (codes ^ 0x80).view(np.int8).reshape(rows, -1)[:, :columns], scales


def _in_blocks(matrix: FloatArray) -> FloatArray:
    rows, columns = matrix.shape
    missing = -columns % BLOCK_SIZE
    if missing:
        matrix = np.pad(matrix, ((0, 0), (0, missing)))
    return matrix.reshape(rows, -1, BLOCK_SIZE)


def _int8(blocks: FloatArray) -> tuple[ByteArray, FloatArray]:
    scales = np.abs(blocks).max(-1) / np.float32(127)
    levels = np.rint(blocks * _inverse(scales)[..., None])
    return (levels + 128).astype(np.uint8), scales


def _int4(blocks: FloatArray) -> tuple[ByteArray, FloatArray]:
    # The weight of the largest size becomes -8, which has no positive twin.
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)[..., 0]
    scales = largest / np.float32(-8)
    levels = np.clip(np.rint(blocks * _inverse(scales)[..., None]), -8, 7)
    codes = (levels + 8).astype(np.uint8)
    return codes[..., 0::2] | (codes[..., 1::2] << 4), scales


def _inverse(scales: FloatArray) -> FloatArray:
    safe = np.where(scales == 0, np.float32(1), scales)
    return np.where(scales == 0, np.float32(0), 1 / safe).astype(np.float32)
