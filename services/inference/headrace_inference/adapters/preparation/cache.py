"""Prepared versions on this machine's disk: by digest, and by all that what was saved depends on.

An entry is a folder that is there whole or not at all: it is written beside and renamed. All its files are
compared with their digests before they are opened. Whatever is wrong with an entry, it is a miss, and what
is damaged is removed. Removing one that is in use harms nobody: mapped files stay until unmapped.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

from headrace.errors import DataLoss
from headrace.onnx_runtime.installation import runtime_version
from headrace.service.disk_reserve import DiskReserve
from headrace.state.codec import decode, encode
from headrace.state.records import ServingConfig, Signature, VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import FileChecks, tree_digest
from headrace_inference.adapters.artifact_cache.leases import CacheLeases
from headrace_inference.adapters.preparation.task import HostOptions, PrepareReport
from headrace_inference.adapters.preparation.turns import Turns
from headrace_inference.adapters.runtime.prepared_graph import GRAPH
from headrace_inference.domain.scheduling.execution_plan import ExecutionPlan

logger = logging.getLogger(__name__)

FORMAT = 7
"""To be raised when what is saved, or how it is chosen, changes."""

MANIFEST = "manifest.json"
_STAGING = ".staging-"
_ABANDONED_SECONDS = 3600.0
"""A folder that is still being written has changed within this time."""

_SLACK = 64
"""The cache may be over its size by one part in so many."""

_CPU_FACTS = ("model name", "flags", "Features", "CPU implementer", "CPU part")


@dataclass(frozen=True, slots=True)
class Kept:
    """A saved file: its size, its time, and the digest of its parts' digests."""

    size_bytes: int
    tree_digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of an entry: its files by name, and how to run it, once that is measured."""

    files: dict[str, Kept] = field(default_factory=dict)
    plan: ExecutionPlan | None = None
    unsaved_because: str = ""
    affordable_rows: int = 0
    batching_obstacle: str = ""
    format: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A version's entry: its saved graph, if it could be saved, and how to run it, if measured."""

    place: Path
    graph: Path | None = None
    plan: ExecutionPlan | None = None
    unsaved_because: str = ""
    affordable_rows: int = 0
    batching_obstacle: str = ""


@dataclass(frozen=True, slots=True)
class _Dependence:
    """All that what is saved depends on, beside the version's files."""

    format: int
    runtime: str
    processor: str
    machine: HostOptions
    signature: Signature
    config: ServingConfig


class PreparedCache:
    """The entries below a folder, which may be used by several processes; `leases` tell what they use."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        leases: CacheLeases,
        checks: FileChecks,
        reserve: DiskReserve | None = None,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._leases = leases
        self._checks = checks
        self._reserve = reserve
        self._processor = processor()
        self.turns = Turns(folder.with_name(f"{folder.name}-turns"))
        self._added_bytes = max_bytes  # of an earlier life nothing is known

    def place_of(self, record: VersionRecord, machine: HostOptions) -> Path:
        """The folder of a version's entry, whether it is there or not."""
        dependence = _Dependence(
            FORMAT,
            runtime_version(),
            self._processor,
            machine,
            record.signature,
            record.config,
        )
        return self._folder / record.digest / hashlib.sha256(encode(dependence)).hexdigest()[:32]

    def has(self, digest: str) -> bool:
        """Return whether anything was kept of a version, whole or not."""
        return (self._folder / digest).is_dir()

    def find(self, place: Path) -> Entry | None:
        """Return what lies there, used now; None where there is nothing, or nothing whole.

        What is damaged is removed.
        """
        try:
            manifest = decode(Manifest, (place / MANIFEST).read_bytes())
            if manifest.format != FORMAT:
                return None
            is_whole = _known(place, manifest.files) == manifest.files
            os.utime(place / MANIFEST)
        except FileNotFoundError:
            return None
        except (OSError, DataLoss):
            is_whole = False
        if is_whole:
            return _entry(place, manifest)
        self._checks.note_damage(place)
        self.remove(place)
        return None

    def kept(self, place: Path) -> Mapping[str, Kept]:
        """Return what an entry's files should be; nothing if there is no entry that can be read."""
        try:
            return decode(Manifest, (place / MANIFEST).read_bytes()).files
        except (OSError, DataLoss):
            return {}

    def plan_at(self, place: Path) -> ExecutionPlan | None:
        """Return the plan that is noted at a place, by whichever process."""
        try:
            return decode(Manifest, (place / MANIFEST).read_bytes()).plan
        except (OSError, DataLoss):
            return None

    @contextmanager
    def staging(self, size_bytes: int = 0) -> Iterator[Path]:
        """A folder to save so much into, removed at the end unless it was kept. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._reserve and size_bytes > self._reserve.room().left:
            raise OSError(errno.ENOSPC, "the disk has no room beside what disk_reserve_bytes keeps")
        folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, staging: Path, place: Path, report: PrepareReport) -> Entry:
        """Make an entry of what was saved, or of there being nothing; nobody sees half of it.

        Where another load of the same version came first, its entry stays. Raises OSError.
        """
        if there := self.find(place):
            return there
        if not report.saved:
            for path in staging.iterdir():
                path.unlink()
        files = _known(staging, sorted(path.name for path in staging.iterdir()))
        for name in files:
            _sync(staging / name)
        manifest = Manifest(
            files,
            report.plan,
            report.unsaved_because,
            report.affordable_rows,
            report.batching_obstacle,
            FORMAT,
        )
        (staging / MANIFEST).write_bytes(encode(manifest))
        self.remove(place)
        place.parent.mkdir(exist_ok=True)
        try:
            staging.rename(place)
        except OSError:  # another process put its own there at the same moment
            if (there := self.find(place)) is None:
                raise
            return there
        self._added_bytes += sum(known.size_bytes for known in files.values())
        return _entry(place, manifest)

    def note(self, place: Path, plan: ExecutionPlan) -> None:
        """Remember what was measured. Raises OSError, DataLoss."""
        manifest = decode(Manifest, (place / MANIFEST).read_bytes())
        rows = plan.affordable_rows
        self._replace_manifest(place, replace(manifest, plan=plan, affordable_rows=rows))

    def give_up_graph(self, place: Path, because: str) -> None:
        """Remember that the saved graph must not be used, and why. Raises OSError, DataLoss."""
        manifest = decode(Manifest, (place / MANIFEST).read_bytes())
        self._replace_manifest(place, replace(manifest, files={}, unsaved_because=because))
        for name in manifest.files:
            (place / name).unlink(missing_ok=True)

    def remove(self, place: Path) -> None:
        """Remove an entry, if it is there; nobody sees half of it."""
        gone = self._folder / f"{_STAGING}{uuid4().hex}"
        with suppress(OSError):
            place.rename(gone)
        for path in (gone, place):  # the place of a local model may be on another file system
            shutil.rmtree(path, ignore_errors=True)

    def _replace_manifest(self, place: Path, manifest: Manifest) -> None:
        beside = place / f".{MANIFEST}-{uuid4().hex}"
        beside.write_bytes(encode(manifest))
        beside.rename(place / MANIFEST)

    def prune(self, in_use: Collection[str]) -> None:
        """Remove the longest unused entries until the rest is within the size; none of digests in use.

        Looks at all entries, hence not before enough was added to make a difference. Others may add and
        remove entries meanwhile. Raises OSError.
        """
        if self._added_bytes < self._max_bytes // _SLACK:
            return
        self._added_bytes = 0
        _remove_abandoned(self._folder)
        entries = sorted((used_at(place), place) for place in self._folder.glob("[!.]*/*"))
        sizes = {place: _size(place) for _, place in entries}
        over = sum(sizes.values()) - self._max_bytes
        for _, place in entries:
            if over > 0 and place.parent.name not in in_use and self._removed(place):
                over -= sizes[place]

    def _removed(self, place: Path) -> bool:
        """Return whether nobody else uses the entry's version either, so that it could be removed."""
        digest = place.parent.name
        with self._leases.removing(digest) as unused:
            if unused:
                self.remove(place)
        if unused:
            logger.info("removed an unused prepared version", extra={"digest": digest})
        return unused


def processor() -> str:
    """Return what kernels and the packing of weights are chosen by."""
    facts = [platform.system(), platform.machine()]
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        first, _, _ = cpuinfo.read_text().partition("\n\n")
        facts += [line for line in first.splitlines() if line.startswith(_CPU_FACTS)]
    return "\n".join(facts)


def used_at(place: Path) -> float:
    """When an entry was last used; 0 where it is none."""
    try:
        return (place / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def _entry(place: Path, manifest: Manifest) -> Entry:
    graph = place / GRAPH if GRAPH in manifest.files else None
    return Entry(
        place,
        graph,
        manifest.plan,
        manifest.unsaved_because,
        manifest.affordable_rows,
        manifest.batching_obstacle,
    )


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob(f"{_STAGING}*"):
        with suppress(FileNotFoundError):  # another process was quicker
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _size(place: Path) -> int:
    """The bytes of an entry's files; 0 where it went meanwhile."""
    try:
        return sum(path.stat().st_size for path in place.iterdir())
    except OSError:
        return 0


def _known(folder: Path, names: Iterable[str]) -> dict[str, Kept]:
    """Return what there is to know of these files. Raises OSError."""
    paths = [folder / name for name in names]
    return {path.name: Kept(path.stat().st_size, tree_digest(path)) for path in paths}


def _sync(path: Path) -> None:
    """Have it on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
