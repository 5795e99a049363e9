"""Says what the signature of a push is over: the files as the registry is going to store them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from headrace import errors
from headrace.client.artifact import Source, members_of

SIGNATURE_NAME = "model.sig"
"""At the top of a folder that is signed: it is the signature, and no file of the model."""
_LONE_GRAPH = "model.onnx"
"""What the registry calls a graph that comes alone."""


def without_signature(source: Source) -> Source:
    """The source, but for a signature at the top of a folder."""
    if isinstance(source, bytes | Mapping) or not Path(source).is_dir():
        return source
    members = members_of(Path(source))
    return {name: path for name, path in members.items() if name != SIGNATURE_NAME}


def stored_files(source: Source) -> Mapping[str, str]:
    """The SHA-256 of each file, by its path. Blocks. Raises InvalidArgument for archives, OSError."""
    if isinstance(source, bytes):
        return {_LONE_GRAPH: hashlib.sha256(source).hexdigest()}
    if isinstance(source, Mapping):
        return _below_top({name: _sha256(path) for name, path in source.items()})
    path = Path(source)
    members = members_of(path)
    if members:
        return _below_top({name: _sha256(member) for name, member in members.items()})
    if path.suffix.lower() != ".onnx":
        raise errors.InvalidArgument(
            "ARTIFACT_NOT_SIGNABLE",
            f"{path.name} is an archive, and a signature is over the files: unpack it, and push the folder",
        )
    return {_LONE_GRAPH: _sha256(path)}


def _below_top(files: Mapping[str, str]) -> Mapping[str, str]:
    """The registry takes files that all lie in one folder as that folder."""
    paths = [PurePosixPath(name).parts for name in files]
    if len({parts[0] for parts in paths}) != 1 or any(len(parts) == 1 for parts in paths):
        return files
    return {str(PurePosixPath(*PurePosixPath(name).parts[1:])): one for name, one in files.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
