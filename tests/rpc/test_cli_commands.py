"""The command line as a process, against the real registry and scripted replicas and monitors."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headrace.cli.versions import notice_lines
from headrace.client import Version
from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.presence import announce
from headrace.state.records import (
    LoadState,
    ReplicaRecord,
    ReplicaVersion,
    ServingConfig,
    Signature,
)
from headrace_registry.app import open_registry
from tests.rpc.client_fixtures import open_services
from tests.rpc.registry_fixtures import onnx_file, settings


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    status: int
    output: str
    error: str

    @property
    def document(self) -> Any:
        """Its only line of output, as JSON."""
        (line,) = self.output.splitlines()
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands against the services at these addresses."""

    flags: tuple[str, ...]

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A command that runs."""
        command = [sys.executable, "-m", "headrace.cli", *self.flags, *arguments]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *arguments: str) -> Finished:
        """A command's end."""
        process = await self.start(*arguments)
        output, error = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return Finished(process.returncode, output.decode(), error.decode())


@asynccontextmanager
async def open_shell(redis_url: str, namespace: str, data: Path) -> AsyncIterator[Shell]:
    """Commands against a registry of their own."""
    chosen = settings(redis_url, namespace, data)
    async with open_registry(chosen, asyncio.Event()) as registry:
        yield Shell(("--registry", registry.grpc_address))


def model_file(folder: Path, bias: float = 1.0) -> str:
    """The path of a model that adds `bias`."""
    path = folder / f"add-{bias}.onnx"
    path.write_bytes(onnx_file(bias))
    return str(path)


async def test_a_model_from_push_to_delete(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """The whole life of a model in commands for people: every line says what became of it."""
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        ran = [
            await shell("push", "add", model_file(tmp_path, 1.0)),
            await shell("push", "add", model_file(tmp_path, 2.0), "--alias", "next"),
            await shell("alias", "add", "champion", "next"),
            await shell("route", "add", "--canary", "next", "--weight", "10"),
            await shell("route", "add", "--weight", "50"),
            await shell("route", "add", "--stable", "champion"),
            await shell("route", "add", "--rollback"),
            await shell("alias", "add", "champion", "--delete"),
            await shell("delete", "add", "--force", "--yes"),
        ]
        left = await shell("models", "--json")

    size = len(onnx_file(1.0))
    batches = "batching on: up to 64 rows share a run; each is proven to get what it gets alone\n"
    assert [
        f"pushed version 1 of add ({size} B)\n{batches}",
        f"pushed version 2 of add ({size} B)\n{batches}",
        "add@champion is version 2\n",
        "add: stable 1, canary 2 with 10 %\n",
        "add: stable 1, canary 2 with 50 %\n",
        "add: stable 2, previous 1\n",
        "add: stable 1, previous 2\n",
        "deleted add@champion\n",
        "deleted model add\n",
    ] == [finished.output for finished in ran]
    assert {(0, "")} == {(finished.status, finished.error) for finished in ran}
    assert left.document == {"models": []}


async def test_a_route_with_all_that_it_can_have(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Every option sets its part and leaves the others; what is shown can be typed again."""
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        for bias in (1.0, 2.0, 3.0, 4.0):
            await shell("push", "add", model_file(tmp_path, bias))
        rules = ("--match", "header:X-Beta=1:3", "--match", "parameter:user^=test:er:2")
        ran = [
            await shell("route", "add", "--canary", "2", "--weight", "10", "--more-canary", "3=5"),
            await shell("route", "add", "--sticky", "header:x-user", *rules),
            await shell("route", "add", "--shadow", "4", "--shadow-share", "12.5"),
            await shell("status"),
            await shell("route", "add", "--shadow-share", "1", "--no-sticky"),
            await shell("route", "add", "--no-match", "--no-canary", "--no-shadow"),
        ]
        wrong = [
            await shell("route", "add", "--shadow", "4"),
            await shell("route", "add", "--match", "x-beta=1:3"),
            await shell("route", "add", "--match", "header:x-beta"),
            await shell("route", "add", "--more-canary", "3"),
            await shell("route", "add", "--sticky", "header:x user"),
        ]
        await shell(
            "route", "add", "--sticky", "header:x-user", "--shadow", "4", "--shadow-share", "1"
        )
        document = (await shell("route", "add", "--json")).document

    assert "2 (10 %), 3 (5 %), 4 (shadow, 12.5 %)" in ran.pop(3).output
    both = "canary 2 with 10 %, canary 3 with 5 %"
    matched = "header:x-beta=1 to 3, parameter:user^=test:er to 2"
    assert [
        f"add: stable 1, {both}\n",
        f"add: stable 1, {both}, sticky by header:x-user, {matched}\n",
        f"add: stable 1, {both}, sticky by header:x-user, {matched}, shadow 4 with 12.5 %\n",
        f"add: stable 1, {both}, {matched}, shadow 4 with 1 %\n",
        "add: stable 1\n",
    ] == [finished.output for finished in ran]
    said = [finished.error for finished in wrong]
    for part, error in zip(
        ("give both", "write header:NAME", "KEY=TEXT:VERSION", "VERSION=WEIGHT", "'x user' is not"),
        said,
        strict=True,
    ):
        assert part in error
    assert {"source": "header", "name": "x-user"} == document["sticky_key"]
    assert {"version": 4, "share_percent": 1.0} == document["shadow"]


async def test_names_do_not_lead_callers_astray(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A push tells that its signature differs, a route and an alias refuse it, a rollback only tells it."""
    other = tmp_path / "other.onnx"
    other.write_bytes(onnx_file(2.0, batch=1))
    changed = "input 'x' was FP32 [-1, 4] and is FP32 [1, 4]"
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        await shell("push", "add", model_file(tmp_path, 1.0), "--alias", "best")
        pushed = await shell("push", "add", str(other))
        refused = [
            await shell("route", "add", "--stable", "2"),
            await shell("route", "add", "--canary", "2", "--weight", "5"),
            await shell("alias", "add", "best", "2"),
            await shell("push", "add", str(other), "--alias", "best"),
        ]
        forced = [
            await shell("route", "add", "--stable", "2", "--allow-signature-change"),
            await shell("alias", "add", "best", "2", "--allow-signature-change"),
        ]
        await shell("push", "add", model_file(tmp_path, 3.0))
        moved = await shell("route", "add", "--stable", "3")
        rolled_back = await shell("route", "add", "--rollback")
        back = await shell("alias", "add", "best", "1")

    assert f"signature differs from stable version 1: {changed}\n" in pushed.output
    for each in refused:
        assert 1 == each.status
        assert changed in each.error
        assert "--allow-signature-change" in each.error
    assert [0] * 4 == [each.status for each in (*forced, moved, back)]
    assert "add: stable 2, previous 3\n" == rolled_back.output
    assert f"would break callers of version 3: {changed}" in rolled_back.error


async def test_a_version_that_nobody_serves_gets_no_callers(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """While replicas are there and none serves a version, its names are refused with where it stands."""
    async with (
        open_shell(redis_url, namespace, tmp_path / "data") as shell,
        open_redis(redis_url) as redis,
    ):
        for bias in (1.0, 2.0):
            await shell("push", "add", model_file(tmp_path, bias))
        failed = ReplicaVersion("add", 2, LoadState.UNAVAILABLE, "no such operator: Zzz")
        ready = ReplicaVersion("add", 2, LoadState.READY)
        replica = ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 0.0, 2, versions=(failed,))
        await announce(redis, Keys(namespace), replica)
        refused = [
            await shell("route", "add", "--stable", "2"),
            await shell("alias", "add", "next", "2"),
        ]
        forced = await shell("alias", "add", "next", "2", "--allow-unready")
        await announce(redis, Keys(namespace), replace(replica, versions=(ready,)))
        moved = await shell("route", "add", "--stable", "2")

    for each in refused:
        assert 1 == each.status
        assert "no replica serves version 2 of add: r1: UNAVAILABLE (no such" in each.error
        assert "--allow-unready" in each.error
    assert ("add@next is version 2\n", "add: stable 2, previous 1\n") == (
        forced.output,
        moved.output,
    )


async def test_every_command_speaks_json(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """With --json, before or after the command, one document comes out."""
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        pushed = await shell("--json", "push", "add", model_file(tmp_path))
        moved = await shell("alias", "add", "champion", "1", "--json")
        aliases = await shell("alias", "add", "--json")
        models = await shell("models", "--json")
        versions = await shell("versions", "add", "--json")
        route = await shell("route", "add", "--json")
        status = await shell("status", "add", "--json")

    (version,) = versions.document["versions"]
    (model,) = status.document["models"]
    assert version == pushed.document
    assert ("add", 1) == (version["model"], version["number"])
    assert version["signature"]["inputs"][0]["datatype"] == "FP32"
    assert moved.document == aliases.document["aliases"][0]
    assert models.document["models"] == [model["model"]]
    assert route.document == model["route"]
    assert ("add", 1, None) == tuple(model["route"][key] for key in ("model", "stable", "canary"))
    assert status.document["replicas"] == []


async def test_rows_hold_the_beginning_of_long_descriptions(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """One that is as wide as a terminal would break the table; --json has all of it."""
    description = "a graph that " * 20
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        await shell("push", "add", model_file(tmp_path), "--description", description)
        shown = await shell("versions", "add")
        told = await shell("versions", "add", "--json")

    assert "a graph that a graph that a graph that …" in shown.output.splitlines()[1]
    assert description == told.document["versions"][0]["description"]


async def test_status_shows_why_a_version_is_not_served(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Models with routes, versions with states and reasons, replicas with addresses."""
    version = ReplicaVersion("add", 1, LoadState.UNAVAILABLE, "no such operator: Zzz")
    replica = ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 0.0, 1, versions=(version,))
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        await shell("push", "add", model_file(tmp_path))
        async with open_redis(redis_url) as redis:
            await announce(redis, Keys(namespace), replica)
        shown = await shell("status")

    words = [line.split() for line in shown.output.splitlines()]
    assert ["add", "tensors", "1", "1", "-", "-", "-"] in words
    assert ["add", "1", "r1", "UNAVAILABLE", "-", "-", *["no", "such", "operator:", "Zzz"]] in words
    assert ["r1", "ready", "h:1", "h:2", "1"] in words
    assert "\x1b" not in shown.output


async def test_push_with_wait_fails_where_a_replica_gives_up(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The version is pushed and printed; that it is not served is the error."""
    version = ReplicaVersion("add", 1, LoadState.UNAVAILABLE, "out of memory")
    replica = ReplicaRecord("r1", "h:1", "h:2", "h:3", 7, 0.0, 99, versions=(version,))
    async with (
        open_shell(redis_url, namespace, tmp_path / "data") as shell,
        open_redis(redis_url) as redis,
    ):
        await announce(redis, Keys(namespace), replica)
        ran = await shell("push", "add", model_file(tmp_path), "--wait", "--json")

    error = json.loads(ran.error)["error"]
    assert ran.status == 1
    assert ran.document["number"] == 1
    assert error["reason"] == "VERSION_UNAVAILABLE"
    assert "r1: out of memory" in error["message"]


async def test_push_with_wait_runs_out_of_time_where_nobody_serves(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Without a replica the wait ends with its own exit status."""
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        ran = await shell("push", "add", model_file(tmp_path), "--wait", "--timeout", "3")

    assert ran.status == 4
    assert "no replica is there" in ran.error


async def test_a_config_is_read_from_a_file(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """What the file says is taken over what is proposed; a field that is none is refused."""
    config, wrong = tmp_path / "config.json", tmp_path / "wrong.json"
    config.write_text('{"instances": 3, "batching": {"maxBatchSize": 8}}')
    wrong.write_text('{"instance": 3}')
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        model = model_file(tmp_path)
        pushed = await shell("push", "add", model, "--config", str(config), "--json")
        refused = await shell("push", "add", model, "--config", str(wrong))

    taken = pushed.document["config"]
    assert (3, 8) == (taken["instances"], taken["batching"]["max_batch_size"])
    assert refused.status == 1
    assert "[CONFIG_MALFORMED]" in refused.error


async def test_refusals_are_one_line_with_reason_and_remedy(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What the registry refuses ends with status 1 and no traceback."""
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        ran = await shell("versions", "nothing")

    line, remedy = ran.error.splitlines()
    assert ran.status == 1
    assert ran.output == ""
    assert line.startswith("error: ")
    assert line.endswith("[MODEL_NOT_FOUND]")
    assert "headrace models" in remedy


async def test_nobody_there_is_status_3_and_says_what_to_start() -> None:
    """Without a suite every command says how to start one."""
    ran = await Shell(("--registry", "127.0.0.1:1"))("models")

    assert ran.status == 3
    assert "headrace up" in ran.error
    assert "Traceback" not in ran.error


class Replica(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with its inputs and a text that is no UTF-8; metadata never comes, but for `digits@next`."""

    async def ModelInfer(self, request: Any, context: Any) -> grpc_service_pb2.ModelInferResponse:
        response = grpc_service_pb2.ModelInferResponse(
            model_name=request.model_name, model_version="2"
        )
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
            response.raw_output_contents.append(raw)
        response.outputs.add(name="a/b", datatype="BYTES", shape=[2])
        response.raw_output_contents.append(b"\x02\0\0\0ok\x01\0\0\0\xff")
        response.parameters["headrace.route"].string_param = "canary"
        return response

    async def ModelMetadata(
        self, request: Any, context: Any
    ) -> grpc_service_pb2.ModelMetadataResponse:
        if request.name != "digits@next":
            await asyncio.Event().wait()
        response = grpc_service_pb2.ModelMetadataResponse(name=request.name, versions=["2"])
        response.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
        return response


async def test_infer_prints_and_saves_what_comes_back(tmp_path: Path) -> None:
    """Outputs are printed with the version that gave them, and written to files."""
    np.save(tmp_path / "x.npy", np.array([[1.5, np.nan]], dtype=np.float32))
    async with open_services(Replica()) as port:
        shell = Shell(("--inference", f"127.0.0.1:{port}"))
        command = ("infer", "digits@next", "--input", f"x=@{tmp_path}/x.npy")
        found = await shell(*command, "--save", str(tmp_path / "out"), "--json")
        shown = await shell(*command)

    answer = found.document
    assert ("2", "canary") == (answer["model_version"], answer["route"])
    assert answer["outputs"] == {
        "x": {"datatype": "FP32", "shape": [1, 2], "data": [[1.5, None]]},
        "a/b": {"datatype": "BYTES", "shape": [2], "data": ["ok", {"b64": "/w=="}]},
    }
    assert np.load(tmp_path / "out" / "x.npy").dtype == np.float32
    assert json.loads((tmp_path / "out" / "a%2Fb.json").read_text()) == ["ok", {"b64": "/w=="}]
    assert shown.output.startswith("digits@next version 2 (canary)\nx FP32 [1, 2]\n[[1.5 nan]]\n")


async def test_a_deadline_is_status_4() -> None:
    """A replica that does not answer in time ends the command with status 4."""
    async with open_services(Replica()) as port:
        shell = Shell(("--inference", f"127.0.0.1:{port}", "--timeout", "0.5"))
        ran = await shell("infer", "digits", "--input", "x=[1]")

    assert ran.status == 4
    assert "[DEADLINE_EXCEEDED]" in ran.error


def test_notices_are_shown_below_the_versions() -> None:
    """A line each, after the table, with nothing that a terminal would obey."""
    version = Version("m", 3, "d", (), "m.onnx", Signature((), ()), ServingConfig(), 0.0)
    said = replace(version, notices=("one\x1b", "two"))
    assert [] == notice_lines([version])
    assert ["", "version 3: one ", "version 3: two"] == notice_lines([said])
