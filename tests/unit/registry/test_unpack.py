"""Unpacking archives that nobody trusts: whole, or not at all, and within bounds."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from headrace import errors
from headrace_registry.adapters.checks.unpack import UnpackLimits, unpack
from headrace_registry.domain.pushes.artifacts import Format
from tests.rpc.registry_fixtures import header_bomb, tar_of, zip_of

MIB = 1 << 20
FILES = {"model.onnx": b"graph" * 200, "weights.bin": bytes(range(256)) * 40}
PLAIN = tar_of(FILES, "w")
LAST_END = 512 + 1024 + 512 + 10240
"""Where the last entry of `PLAIN` ends."""


def limits(
    total: int = 64 << 30, files: int = 100, disk: int = 64 << 30, expansion: int = 100
) -> UnpackLimits:
    return UnpackLimits(total, files, disk, expansion)


def unpacked(folder: Path, archive: bytes, how: Format, bounds: UnpackLimits) -> dict[str, bytes]:
    """What is unpacked of an archive."""
    pushed = folder / "pushed"
    pushed.write_bytes(archive)
    unpack(pushed, how, folder / "artifact", bounds)
    artifact = folder / "artifact"
    return {path.name: path.read_bytes() for path in artifact.rglob("*") if path.is_file()}


def written_bytes(folder: Path) -> int:
    """How much was written to the disk."""
    found = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return sum(found) - (folder / "pushed").stat().st_size


def wrong_checksum(packed: bytes) -> bytes:
    """A gzip whose contents are as they were and whose CRC is another."""
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


def sparse(name: str, size: int, parts: list[tuple[int, int]]) -> bytes:
    """A GNU sparse entry of this size, of which a tar holds these parts."""
    member = tarfile.TarInfo(name)
    member.type, member.size = tarfile.GNUTYPE_SPARSE, sum(length for _, length in parts)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    for place, (offset, length) in enumerate(parts):
        header[386 + 24 * place : 410 + 24 * place] = b"%011o\0%011o\0" % (offset, length)
    header[483:495] = b"\x80" + struct.pack(">I", 0)[1:] + struct.pack(">Q", size)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(-(-member.size // 512) * 512)


@pytest.mark.parametrize(
    ("how", "archive"),
    [
        (Format.TAR, PLAIN),
        (Format.TAR, PLAIN[: LAST_END + 512]),  # one block of zeros, as old tools wrote
        (Format.TAR_GZ, gzip.compress(PLAIN)),
        (Format.TAR_GZ, gzip.compress(PLAIN[:5000]) + gzip.compress(PLAIN[5000:])),
        (Format.TAR_GZ, lzma.compress(PLAIN)),
        (Format.TAR, tar_of(FILES, "w:bz2")),
        (Format.ZIP, zip_of(FILES)),
    ],
)
def test_whole_archives_are_taken(tmp_path: Path, how: Format, archive: bytes) -> None:
    """Every kind, with the end marks that tools write."""
    assert FILES == unpacked(tmp_path, archive, how, limits())


@pytest.mark.parametrize(
    ("how", "archive"),
    [
        (Format.TAR, PLAIN[:LAST_END]),
        (Format.TAR, PLAIN[: 512 + 1024]),  # only the first entry is left
        (Format.TAR, PLAIN[: LAST_END + 100]),
        (Format.TAR, PLAIN[:1536] + b"\xff" + PLAIN[1537:]),  # the second header
        (Format.TAR_GZ, gzip.compress(PLAIN[:LAST_END])),
        (Format.TAR_GZ, wrong_checksum(gzip.compress(PLAIN))),
        (Format.TAR_GZ, gzip.compress(PLAIN)[:-8]),
        (Format.TAR_GZ, gzip.compress(PLAIN)[:-4]),
        (Format.TAR_GZ, gzip.compress(PLAIN) + b"more"),
        (Format.TAR_GZ, wrong_checksum(lzma.compress(PLAIN))),
        (Format.TAR, tar_of(FILES, "w:bz2")[:-4]),
        (Format.ZIP, zip_of(FILES)[:-30]),
        (Format.TAR_GZ, header_bomb(600)),
        (Format.TAR, sparse("a", 1024, [(512, 512), (0, 512)]) + bytes(1024)),
        (Format.TAR, sparse("a", 512, [(0, 1024)]) + bytes(1024)),
    ],
)
def test_archives_that_do_not_reach_their_end_are_refused(
    tmp_path: Path, how: Format, archive: bytes
) -> None:
    """A cut tar, a checksum that is wrong, an entry whose header is damaged: half an artifact is none."""
    with pytest.raises(errors.InvalidArgument) as raised:
        unpacked(tmp_path, archive, how, limits())
    assert "ARCHIVE_DAMAGED" == raised.value.reason


def test_a_sparse_file_is_taken(tmp_path: Path) -> None:
    """Tools leave holes out of a tar by themselves."""
    content = unpacked(
        tmp_path,
        tar_of({"model.onnx": b""}, "w")[:512] + sparse("w.bin", 4096, [(1024, 512)]) + bytes(1024),
        Format.TAR,
        limits(),
    )
    assert bytes(4096) == content["w.bin"]


def zip_bomb(megabytes: int) -> bytes:
    """A small zip of a large file."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.onnx", "w", force_zip64=True) as entry,
    ):
        for _ in range(megabytes):
            entry.write(bytes(MIB))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("reason", "how", "archive", "bounds"),
    [
        (
            "ARCHIVE_EXPANDS_TOO_MUCH",
            Format.TAR,
            sparse("model.onnx", 32 << 30, [(0, 512)]),
            limits(),
        ),
        (
            "ARCHIVE_TOO_LARGE",
            Format.TAR,
            sparse("model.onnx", 32 << 30, [(0, 512)]),
            limits(8 * MIB),
        ),
        (
            "DISK_FULL",
            Format.TAR,
            sparse("model.onnx", 32 << 30, [(0, 512)]),
            limits(disk=8 * MIB),
        ),
        ("ARCHIVE_TOO_LARGE", Format.ZIP, zip_bomb(16), limits(8 * MIB)),
        # What is passed over, and what follows the end mark, is unpacked as well.
        (
            "ARCHIVE_TOO_LARGE",
            Format.TAR_GZ,
            tar_of({"__MACOSX/x": bytes(16 * MIB)}),
            limits(8 * MIB),
        ),
        (
            "ARCHIVE_TOO_LARGE",
            Format.TAR_GZ,
            gzip.compress(PLAIN + bytes(16 * MIB)),
            limits(8 * MIB),
        ),
    ],
)
def test_bombs_end_at_the_bound_that_they_reach(
    tmp_path: Path, reason: str, how: Format, archive: bytes, bounds: UnpackLimits
) -> None:
    """No more is written than the bound allows, and it does not take long."""
    started = time.process_time()
    with pytest.raises(errors.ResourceExhausted) as raised:
        unpacked(tmp_path, archive, how, bounds)
    assert reason == raised.value.reason
    assert written_bytes(tmp_path) <= (1 << 30) + 200 * len(archive)
    assert time.process_time() - started < 20
