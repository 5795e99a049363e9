"""The price of trust in artifacts: the signature library, a check before a load, sealing and opening.

    python -m benchmarks.artifact_trust

Times are of this process's CPU, the memory is its own; the network and the disk have no part in them.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from headrace.artifacts import sealing
from headrace.artifacts.digests import artifact_digest
from headrace.artifacts.signature_policy import PolicyFile
from headrace.artifacts.signatures import SigningKey, require_library, sign
from headrace.machine.memory import own_memory_bytes
from headrace.state.records import ArtifactFile, ServingConfig, Signature, VersionRecord
from headrace_inference.adapters.trust import trust_check

MIB = 1 << 20
NAME = "blobs/name"
SEALED_MIB = 128
REPEATS = 30


def seconds_of(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median CPU time of a call."""
    took = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return statistics.median(took)


def measure_library() -> None:
    """Loading what signs and verifies, once for each process."""
    process = psutil.Process()
    own, resident = own_memory_bytes(process.pid), process.memory_info().rss
    started = time.process_time()
    require_library()
    seconds = time.process_time() - started
    own, resident = own_memory_bytes(process.pid) - own, process.memory_info().rss - resident
    print(
        f"signature library: {seconds:.2f} s, {own / MIB:.0f} MiB of its own, "
        f"{resident / MIB:.0f} MiB resident"
    )


def measure_checks(folder: Path) -> None:
    """The check before a load, for versions of some files."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private, public = folder / "team.key", folder / "team.pem"
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(pem, form))
    policy = folder / "policy.toml"
    policy.write_text('[[rule]]\nmodels = ["*"]\npublic_keys = ["team.pem"]\n')
    check = trust_check(PolicyFile(policy))
    for count in (1, 10, 1000):
        files = {f"f{number}.bin": "ab" * 32 for number in range(count)}
        record = VersionRecord(
            "m",
            1,
            artifact_digest(files),
            tuple(ArtifactFile(path, 1, sha256) for path, sha256 in files.items()),
            "f0.bin",
            Signature((), ()),
            ServingConfig(),
            0.0,
            signature_bundle=sign("m", files, SigningKey(private)),
        )
        seconds = seconds_of(lambda: check(record))  # noqa: B023
        size = len(record.signature_bundle)
        print(f"check of {count:>4} files: {1000 * seconds:.2f} ms; its bundle has {size} bytes")


def measure_sealing(folder: Path) -> None:
    """Sealing and opening, one core."""
    path = folder / "seal.key"
    path.write_bytes(b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    path.chmod(0o600)
    keys = sealing.load_keys(path, "")
    assert keys is not None
    plain = os.urandom(SEALED_MIB * MIB)
    header, *chunks = sealing.seal(NAME, io.BytesIO(plain), keys)
    opener = sealing.SealOpener(NAME, header, keys)

    def seal() -> None:
        for _ in sealing.seal(NAME, io.BytesIO(plain), keys):
            pass

    def open_all() -> None:
        for number, chunk in enumerate(chunks):
            opener.open(number, chunk, is_last=number == len(chunks) - 1)

    for name, work in (("seal", seal), ("open", open_all)):
        print(f"{name}: {SEALED_MIB / 1024 / seconds_of(work, 5):.1f} GiB a second of CPU")


if __name__ == "__main__":
    measure_library()
    with tempfile.TemporaryDirectory() as folder:
        measure_checks(Path(folder))
        measure_sealing(Path(folder))
