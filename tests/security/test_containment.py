"""The process that checks pushed graphs: what hostile code in it could not do."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.service.confinement import confine

HOSTILE = """
import ctypes, dataclasses, json, os, socket, subprocess, sys
from pathlib import Path
from headrace.service.confinement import confine

staging, secret, port, parent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
had = confine([], [staging])

def tried(act):
    try:
        act()
    except (OSError, subprocess.SubprocessError) as error:
        return type(error).__name__
    return "done"

def own():
    (staging / "in").write_text("x")
    (staging / "folder").mkdir()
    os.link(staging / "in", staging / "folder" / "linked")
    (staging / "folder").rename(staging / "renamed")
    assert "x" == (staging / "renamed" / "linked").read_text()
    import numpy, onnxruntime  # libraries are there

status = Path("/proc/self/status").read_text()
print(json.dumps({
    "had": dataclasses.asdict(had),
    "own": tried(own),
    "privileges": [
        line.split() for line in status.splitlines() if line.startswith(("CapEff", "NoNewPrivs"))
    ],
    "read": tried(secret.read_text),
    "list": tried(lambda: list(secret.parent.iterdir())),
    "write": tried(lambda: secret.write_text("x")),
    "make": tried(lambda: (secret.parent / "made").write_text("x")),
    "remove": tried(secret.unlink),
    "link": tried(lambda: os.link(secret, staging / "stolen")),
    "environment": tried(lambda: Path(f"/proc/{parent}/environ").read_bytes()),
    "connect": tried(lambda: socket.create_connection(("127.0.0.1", port), 2).close()),
    "listen": tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    "datagram": tried(
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
    ),
    "signal": tried(lambda: os.kill(int(parent), 0)),
}))
"""


def hostile(folder: Path) -> dict[str, Any]:
    """What became of what the process tried."""
    staging, secret = folder / "staging", folder / "secrets" / "seal.key"
    staging.mkdir()
    secret.parent.mkdir()
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [str(staging), str(secret), str(server.getsockname()[1]), str(os.getpid())]
        done = subprocess.run(
            [sys.executable, "-c", HOSTILE, *arguments],
            capture_output=True,
            check=False,
            timeout=60,
        )
    assert 0 == done.returncode, done.stderr.decode()
    assert "secret" == secret.read_text()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is nothing of it")
def test_a_confined_process_has_its_own_files_alone(tmp_path: Path) -> None:
    """As far as this machine's kernel can confine it: it says itself what it could have."""
    found = hostile(tmp_path)
    had = found["had"]
    assert "done" == found["own"]
    assert had["no_privileges"]
    kept = dict(found["privileges"])
    assert "1" == kept["NoNewPrivs:"]
    assert int(kept["CapEff:"], 16) in (0, 1 << 1)
    if had["no_other_files"]:
        assert "done" != found["link"]
        tried = ("read", "list", "write", "make", "remove", "environment")
        assert dict.fromkeys(tried, "PermissionError") == {name: found[name] for name in tried}
    if had["no_network"]:
        assert "done" not in (found["connect"], found["datagram"])


def test_nothing_is_confined_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems check as before."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not any((confine([], []).no_network, confine([], []).no_other_files))
