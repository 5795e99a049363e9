"""`headrace replay` against a real replica: the log of one version, asked of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from headrace import AsyncClient
from tests.e2e.models import scaling
from tests.rpc.test_cli_commands import Shell
from tests.rpc.test_payload_log import ROW, echo, logging_to
from tests.rpc.test_serve_folder import serving


async def test_where_versions_disagree(tmp_path: Path) -> None:
    """Answers that are the same agree, others are shown; what is masked is left out and counted."""
    models, log = tmp_path / "models", tmp_path / "log"
    for path, content in (("m/1", scaling(3)), ("m/2", scaling(-3)), ("echo/1", echo())):
        (models / path).mkdir(parents=True)
        (models / path / "model.onnx").write_bytes(content)
    (models / "m" / "config.pbtxt").write_text("version_policy: { all {} }")
    text = np.array([["ann@example.org"]], np.object_)
    async with (
        serving(models, tmp_path / "data", **logging_to(log)) as replica,
        AsyncClient(inference=replica.fronts.grpc_address) as client,
    ):
        await client.infer("m", {"x": ROW}, version=1, request_id="far")
        await client.infer("m", {"x": 0 * ROW}, version=1, request_id="zero")
        await client.infer("echo", {"text": text})
    async with serving(models, tmp_path / "data") as replica:
        shell = Shell(("--inference", replica.fronts.grpc_address))
        same = await shell("replay", str(log), "--model", "m", "--version", "1")
        assert "2 requests, 2 agree (100.00%)" in same.output, same.error
        other = await shell(
            "--json", "replay", str(log), "--model", "m", "--version", "2", "--min-agreement", "0.9"
        )
        found = json.loads(other.output)
        assert (1, 2, 1) == (other.status, found["replayed"], found["agreed"])
        assert [("y", 1, 12.0)] == [
            (each["output"], each["requests"], each["largest"]) for each in found["outputs"]
        ]
        assert [{"output": "y", "before": "0", "after": "1", "rows": 1}] == found["class_flips"]
        (shown,) = found["disagreements"]
        assert ("far", {"y": "[4.5, -6]"}, {"y": "[-4.5, 6]"}) == (
            shown["request_id"],
            shown["before"],
            shown["after"],
        )
        between = await shell(
            "replay", str(log), "--model", "m", "--version", "2", "--against", "1"
        )
        assert "beside version 1: 2 requests, 1 agree (50.00%)" in between.output
        masked = await shell("replay", str(log), "--model", "echo", "--version", "1")
        assert "left out: 1, inputs masked" in masked.output
