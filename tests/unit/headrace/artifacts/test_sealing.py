"""Sealing: what is sealed opens from anywhere, and nothing that was touched does."""

from __future__ import annotations

import base64
import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace import errors
from headrace.artifacts import sealing
from headrace.artifacts.sealing import CHUNK_BYTES, HEADER_BYTES, SealingKeys, SealOpener

NAME = "blobs/" + "ab" * 32
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7]
PART = CHUNK_BYTES + sealing.TAG_BYTES


def key_file(folder: Path, *keys: bytes) -> Path:
    """A file of keys that its owner alone can read."""
    path = folder / "seal.key"
    path.write_text("# ours\n\n" + "".join(f"{base64.b64encode(key).decode()}\n" for key in keys))
    path.chmod(0o600)
    return path


def new_keys(folder: Path, *keys: bytes) -> SealingKeys:
    """Keys as a service has them."""
    loaded = sealing.load_keys(key_file(folder, *(keys or (os.urandom(32),))), "")
    assert loaded is not None
    return loaded


def sealed(data: bytes, keys: SealingKeys, name: str = NAME) -> bytes:
    """The whole of a sealed blob."""
    return b"".join(sealing.seal(name, io.BytesIO(data), keys))


def opened(blob: bytes, keys: SealingKeys, name: str = NAME) -> bytes:
    """All that is in a sealed blob."""
    opener = SealOpener(name, blob[:HEADER_BYTES], keys)
    rest = blob[HEADER_BYTES:]
    parts = [rest[at : at + PART] for at in range(0, len(rest), PART)] or [b""]
    last = len(parts) - 1
    return b"".join(opener.open(n, part, is_last=n == last) for n, part in enumerate(parts))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens(tmp_path: Path, size: int) -> None:
    """Its size is known from outside, nothing of it is, and each sealing has another key."""
    keys, data = new_keys(tmp_path), random.Random(size).randbytes(size)
    blob = sealed(data, keys)
    assert data == opened(blob, keys)
    assert (sealing.sealed_bytes(size), size) == (len(blob), sealing.plain_bytes(len(blob)))
    assert blob[HEADER_BYTES:] != sealed(data, keys)[HEADER_BYTES:]
    assert size < 16 or data[:16] not in blob


TOUCHED: list[Callable[[bytes], bytes]] = [
    lambda blob: blob[:-1],
    lambda blob: blob[:HEADER_BYTES],
    lambda blob: blob[: HEADER_BYTES + PART],
    lambda blob: blob[: HEADER_BYTES + 2 * PART],
    lambda blob: blob + b"\0",
    lambda blob: blob + blob[HEADER_BYTES:],
    lambda blob: blob[:HEADER_BYTES] + blob[HEADER_BYTES + PART :],
    lambda blob: (
        blob[:HEADER_BYTES]
        + blob[HEADER_BYTES + PART : HEADER_BYTES + 2 * PART]
        + blob[HEADER_BYTES : HEADER_BYTES + PART]
        + blob[HEADER_BYTES + 2 * PART :]
    ),
    lambda blob: b"x" + blob[1:],
    lambda blob: b"",
]


def test_what_was_touched_does_not_open(tmp_path: Path) -> None:
    """Bits turned anywhere, parts cut off, added, left out and exchanged, and other blobs' headers."""
    keys = new_keys(tmp_path)
    blob = sealed(bytes(2 * CHUNK_BYTES + 5), keys)
    chance = random.Random(1)
    flips = [len(sealing.MAGIC) + 8, HEADER_BYTES - 1, HEADER_BYTES, len(blob) - 1]
    flips += [chance.randrange(len(sealing.MAGIC) + 8, len(blob)) for _ in range(20)]
    touched = [change(blob) for change in TOUCHED]
    touched += [blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :] for at in flips]
    other = sealed(bytes(2 * CHUNK_BYTES + 5), keys)
    touched.append(other[:HEADER_BYTES] + blob[HEADER_BYTES:])
    for wrong in touched:
        with pytest.raises(errors.DataLoss) as refused:
            opened(wrong, keys)
        assert "BLOB_SEAL_BROKEN" == refused.value.reason
    with pytest.raises(errors.DataLoss):
        opened(blob, keys, "blobs/" + "cd" * 32)


def test_keys_rotate(tmp_path: Path) -> None:
    """A new first key seals, older ones open; one that is gone is named."""
    old, new = os.urandom(32), os.urandom(32)
    before, both, after = (new_keys(tmp_path, *keys) for keys in ((old,), (new, old), (new,)))
    first, second = sealed(b"first", before), sealed(b"second", both)
    assert [b"first", b"second", b"second"] == [
        opened(first, both),
        opened(second, both),
        opened(second, after),
    ]
    with pytest.raises(errors.FailedPrecondition, match=before.sealing[0].hex()) as refused:
        opened(first, after)
    assert "SEAL_KEY_UNKNOWN" == refused.value.reason


def test_keys_come_of_a_command_too(tmp_path: Path) -> None:
    """With the same lines."""
    path = key_file(tmp_path, os.urandom(32))
    assert sealing.load_keys(path, "") == sealing.load_keys(None, f"cat '{path}'")
    assert None is sealing.load_keys(None, "")


def test_unusable_keys_say_how_to_make_one(tmp_path: Path) -> None:
    """And never what was in the file."""
    path = key_file(tmp_path, b"too short a secret")
    secret = base64.b64encode(b"too short a secret").decode()
    readable = tmp_path / "readable.key"
    readable.write_text(path.read_text())
    readable.chmod(0o640)
    empty = tmp_path / "empty.key"
    empty.touch(0o600)
    given: list[tuple[Path | None, str]] = [
        (path, ""),
        (readable, ""),
        (empty, ""),
        (tmp_path / "gone", ""),
    ]
    given += [(None, command) for command in ("false", "/nowhere", f"cat {path}", "'")]
    for file, command in given:
        with pytest.raises(errors.InvalidArgument, match="/dev/urandom") as refused:
            sealing.load_keys(file, command)
        assert "SEAL_KEY_UNUSABLE" == refused.value.reason
        assert secret not in refused.value.message
    assert secret not in repr(new_keys(tmp_path))
