"""Takes from this process what work on hostile input does not need: others' files, network, privileges.

On Linux, each as far as the kernel and whoever runs the process allow it; elsewhere nothing. What has been
given up cannot be had again, by this process or by those that it starts.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SET_NO_NEW_PRIVS = 38  # from linux/prctl.h
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # from linux/sched.h
_CAPABILITY_VERSION = 0x20080522  # from linux/capability.h, as all below from linux/landlock.h
_REACH_ALL_FILES = 1 << 1
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE, _IOCTL = (
    1 << bit for bit in (0, 1, 2, 3, 13, 14, 15)
)
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_RIGHTS = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files, since that version of the interface. The first could not allow renaming into another
folder."""
_OF_NETWORK, _OF_SCOPE = 4, 6
"""The versions that know TCP, and signals and abstract sockets."""

_ALWAYS_READABLE = (
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scope", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


@dataclass(frozen=True, slots=True)
class Confinement:
    """The parts of it that could be had."""

    no_privileges: bool = False
    no_network: bool = False
    no_other_files: bool = False


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> Confinement:
    """From now on read what Python and the system's libraries are and `readable`, write `writable` alone.

    No network, no capabilities, and no program that would give some. The process should have one thread.
    """
    if sys.platform != "linux":
        return Confinement()
    libc = ctypes.CDLL(None, use_errno=True)
    no_network = _leave_network(libc)
    _drop_capabilities(libc)
    no_privileges = refuse_new_privileges()
    no_files = no_privileges and _close_files(libc, list(readable), list(writable))
    return Confinement(no_privileges, no_network, no_files)


def refuse_new_privileges() -> bool:
    """No program that this process starts gets more rights than it has; False where that cannot be had."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _leave_network(libc: ctypes.CDLL) -> bool:
    """Move into a network of its own, which has nothing in it."""
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    with suppress(OSError):  # it goes on as nobody, with the same rights to its files
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Those that it has as root, or in its own namespace, but for reaching files that belong to others.

    Root may have its data in another account's folder; what it may reach there is decided below.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, then their upper halves
    if libc.capget(header, sets) == 0:
        kept = sets[1] & _REACH_ALL_FILES
        libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0))


def _close_files(libc: ctypes.CDLL, readable: list[Path], writable: list[Path]) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    known = [since for since in _RIGHTS if since <= version]
    if not known:
        return False
    rights = _RIGHTS[max(known)]
    asked = _Ruleset(
        rights, 0b11 if version >= _OF_NETWORK else 0, 0b11 if version >= _OF_SCOPE else 0
    )
    size = 24 if version >= _OF_SCOPE else 16 if version >= _OF_NETWORK else 8
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(asked), size, 0)
    if ruleset < 0:
        return False
    try:
        for path in (*map(Path, _ALWAYS_READABLE), *_of_python(), *readable):
            _allow(libc, ruleset, path, _READING)
        for path in map(Path, _DEVICES):
            _allow(libc, ruleset, path, (_READ_FILE | _WRITE_FILE) & rights)
        for path in writable:
            _allow(libc, ruleset, path, rights)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """Allow these rights on all that is below a path, which may not be there."""
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        rule = _Beneath(rights, folder)
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)


def _of_python() -> list[Path]:
    """Where this Python, its packages and the libraries that it has loaded by now are."""
    installed = [sys.prefix, sys.base_prefix, *sys.path]
    with suppress(OSError):
        mapped = Path("/proc/self/maps").read_text().splitlines()
        installed += {
            str(Path(line.split(maxsplit=5)[-1]).parent) for line in mapped if ".so" in line
        }
    return [Path(path) for path in installed if path and Path(path) != Path("/")]
