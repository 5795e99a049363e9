"""A replica that serves a folder: no registry, no shared state; what changes there is taken safely."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
from onnx import numpy_helper

from headrace.cli.first_key import write_key
from headrace.errors import FailedPrecondition, HeadraceError
from headrace.settings import SettingsError, read
from headrace.tls.authority import Authority, Names
from headrace_inference.app.replica import Serving, open_folder_replica
from headrace_inference.settings import Settings
from tests.e2e.models import scaling
from tests.rpc.registry_fixtures import eventually
from tests.security.issuers import AUDIENCE, ISSUER, ec_key, jwk, jwks, token

POLL_SECONDS = 0.02


@asynccontextmanager
async def serving(folder: Path, data: Path, **more: Any) -> AsyncIterator[Serving]:
    """The folder is served while inside."""
    ports = dict.fromkeys(("grpc_port", "http_port", "metrics_port"), 0)
    given: dict[str, Any] = ports | {"tuning_seconds": 0.0} | more
    settings = Settings(data, model_folder=folder, **given)
    async with open_folder_replica(settings, asyncio.Event()) as replica:
        yield replica


def put(folder: Path, path: str, factor: float) -> None:
    """A model that multiplies, at a path."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(scaling(factor))


async def answer(replica: Serving, model: str) -> list[float]:
    """What the model makes of 1 and 2, over REST."""
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    url = f"http://{replica.fronts.http_address}/v2/models/{model}/infer"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"inputs": [tensor]}) as response,
    ):
        found = await response.json()
        assert 200 == response.status, found
        return list(found["outputs"][0]["data"])


async def index(replica: Serving) -> dict[str, str]:
    """The models and their states; none before the folder was read."""
    url = f"http://{replica.fronts.http_address}/v2/repository/index"
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        found = await response.json() if response.status == 200 else []
    return {f"{each['name']}/{each['version']}": each["state"] for each in found}


async def test_a_repository_and_plain_folders(tmp_path: Path) -> None:
    """Each model answers on both wires under its name, and there is nobody else to ask."""
    put(tmp_path / "models", "a/3/model.onnx", 3)
    put(tmp_path / "models", "b/net.onnx", 4)
    async with serving(tmp_path / "models", tmp_path / "data") as replica:
        assert {"a/3": "READY", "b/1": "READY"} == await index(replica)
        assert [3.0, 6.0] == await answer(replica, "a")
        values = await asyncio.to_thread(over_grpc, replica.fronts.grpc_address, "b")
        assert [4.0, 8.0] == values
        ready, facts = await readiness(replica)
    assert (200, "ready") == (ready, facts["stage"])
    assert str(tmp_path / "models") == facts["model_folder"]


def over_grpc(address: str, model: str) -> list[float]:
    """What the model makes of 1 and 2, over gRPC."""
    tensor = triton_grpc.InferInput("x", [1, 2], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2]], np.float32))
    with triton_grpc.InferenceServerClient(address) as client:
        return list(client.infer(model, [tensor]).as_numpy("y")[0])


async def readiness(replica: Serving) -> tuple[int, dict[str, Any]]:
    """The status and facts of /readyz."""
    url = f"http://{replica.fronts.metrics_address}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, json.loads(await response.text())


async def test_a_change_takes_over_without_a_gap(tmp_path: Path) -> None:
    """Requests in between are all answered, by one graph or the other; broken files change nothing."""
    folder = tmp_path / "models"
    put(folder, "m/model.onnx", 2)
    async with serving(folder, tmp_path / "data", model_poll_seconds=POLL_SECONDS) as replica:
        stop = asyncio.Event()
        seen: list[list[float]] = []

        async def keep_asking() -> None:
            while not stop.is_set():
                seen.append(await answer(replica, "m"))

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_asking())
            put(folder, "m/model.onnx", 7)
            await eventually(lambda: [7.0, 14.0] in seen)
            (folder / "m/model.onnx").write_bytes(b"no graph")
            asked = len(seen)
            await eventually(lambda: len(seen) > asked + 20)
            put(folder, "m/model.onnx", 9)
            await eventually(lambda: [9.0, 18.0] in seen)
            stop.set()
    assert all(values in ([2.0, 4.0], [7.0, 14.0], [9.0, 18.0]) for values in seen)
    assert [9.0, 18.0] == seen[-1]


async def test_models_come_and_go_and_an_empty_folder_takes_nothing_away(tmp_path: Path) -> None:
    """A volume that is unmounted for a moment must not end what serves."""
    folder = tmp_path / "models"
    put(folder, "a/model.onnx", 2)
    async with serving(folder, tmp_path / "data", model_poll_seconds=POLL_SECONDS) as replica:
        put(folder, "b/1/model.onnx", 3)
        await eventually_index(replica, {"a/1": "READY", "b/1": "READY"})
        put(folder, "b/2/model.onnx", 4)
        await eventually_index(replica, {"a/1": "READY", "b/2": "READY"})
        assert [4.0, 8.0] == await answer(replica, "b")
        (folder / "a/model.onnx").unlink()
        await eventually_index(replica, {"b/2": "READY"})
        folder.rename(tmp_path / "away")
        await eventually_fact(replica, "folder_problem")
        assert [4.0, 8.0] == await answer(replica, "b")
        assert 200 == (await readiness(replica))[0]
        copies = [path.name for path in (tmp_path / "data/local-folder").iterdir()]
    assert 2 == len(copies)  # the one copy, and the lock
    assert ["lock"] == [path.name for path in (tmp_path / "data/local-folder").iterdir()]


async def eventually_index(replica: Serving, expected: dict[str, str]) -> None:
    """Wait until these are the models."""
    async with asyncio.timeout(20):
        while await index(replica) != expected:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


async def eventually_fact(replica: Serving, name: str) -> None:
    """Wait until readiness has the fact."""
    async with asyncio.timeout(20):
        while name not in (await readiness(replica))[1]:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


async def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    """External data is copied with the graph: the folder's own may be overwritten in place."""
    folder = tmp_path / "models/m"
    folder.mkdir(parents=True)
    graph = onnx.load_from_string(scaling(5))
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(5, np.float32), "factor"))
    onnx.save_model(
        graph,
        folder / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    weights = folder / "weights.bin"
    async with serving(tmp_path / "models", tmp_path / "data") as replica:
        weights.write_bytes(b"\0" * weights.stat().st_size)
        assert [5.0, 10.0] == await answer(replica, "m")


async def test_it_is_not_ready_while_a_model_cannot_be_loaded(tmp_path: Path) -> None:
    """What is shown as ready serves; the reason stands in readiness, and the other model answers."""
    put(tmp_path / "models", "good/model.onnx", 2)
    put(tmp_path / "models", "bad/model.onnx", 2)
    (tmp_path / "models/bad/config.pbtxt").write_text(
        "instance_group [ { kind: KIND_GPU count: 1 } ]"
    )
    async with serving(tmp_path / "models", tmp_path / "data", join_seconds=0.0) as replica:
        await eventually_index(replica, {"bad/1": "UNAVAILABLE", "good/1": "READY"})
        ready, facts = await readiness(replica)
        assert [2.0, 4.0] == await answer(replica, "good")
    assert 503 == ready
    assert "PROVIDER_UNAVAILABLE" in facts["failed"]["bad/1"]


@pytest.mark.parametrize(
    ("lay", "said"),
    [
        (lambda folder: None, "has no model: it is empty"),
        (
            lambda folder: (folder / "model.onnx").write_bytes(b"no graph"),
            "'model.onnx' is not an ONNX graph",
        ),
    ],
)
async def test_a_folder_that_cannot_be_served_ends_it(tmp_path: Path, lay: Any, said: str) -> None:
    """The start fails with all that is wrong, not with a replica that serves nothing."""
    folder = tmp_path / "models"
    folder.mkdir()
    lay(folder)
    with pytest.raises(ExceptionGroup) as failed:
        async with serving(folder, tmp_path / "data"):
            pass
    error = first_of(failed.value)

    assert isinstance(error, FailedPrecondition)
    assert "MODEL_FOLDER_UNUSABLE" == error.reason
    assert said in error.message


def first_of(group: ExceptionGroup[Exception]) -> HeadraceError:
    """The first expected error in a group."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, HeadraceError)
    return error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data=d"], "--redis-url: is required (or HEADRACE_REDIS_URL)"),
        (["--data=d", "--model-name=m"], "--model-name: it goes with --model-folder"),
        (
            ["--data=d", "--model-folder=f", "--redis-url=redis://h:1"],
            "--redis-url: a replica that serves a --model-folder has none",
        ),
        (
            ["--data=d", "--model-folder=f", "--model-control=explicit"],
            "--model-control: what lies in the --model-folder is loaded, and nothing else",
        ),
        (
            ["--data=d", "--model-folder=f", "--auth=on"],
            "--rights-file: with --auth on it is required",
        ),
        (
            ["--data=d", "--model-folder=f", "--rights-file=r"],
            "--rights-file: it needs --auth on",
        ),
        (
            ["--data=d", "--model-folder=f", "--signature-policy=p"],
            "--signature-policy: a replica that serves a --model-folder has none",
        ),
    ],
)
def test_settings_that_contradict_one_another(arguments: list[str], said: str) -> None:
    """A replica has a registry or a folder."""
    with pytest.raises(SettingsError) as refused:
        read(Settings, "inference", arguments, {})

    assert said in str(refused.value)


async def test_two_processes_do_not_share_copies(tmp_path: Path) -> None:
    """The second is told to choose another data folder."""
    put(tmp_path / "models", "m/model.onnx", 2)
    async with serving(tmp_path / "models", tmp_path / "data"):
        with pytest.raises(FailedPrecondition, match="choose another folder") as refused:
            async with serving(tmp_path / "models", tmp_path / "data"):
                pass
    assert "DATA_IN_USE" == refused.value.reason


async def test_callers_are_those_of_the_rights_file(tmp_path: Path) -> None:
    """Who brings no key, or one without the right, is refused; a key that is taken out ends at once."""
    put(tmp_path / "models", "fraud-1/model.onnx", 2)
    put(tmp_path / "models", "other/model.onnx", 2)
    rights = tmp_path / "rights.toml"
    keys = [write_key(rights, "web", {"caller": ["fraud-*"]}).secret]
    options = {"auth": "on", "rights_file": rights}
    async with serving(tmp_path / "models", tmp_path / "data", **options) as replica:
        await eventually_ready(replica)
        before = [
            await status_of(replica, "fraud-1", keys[0]),
            await status_of(replica, "other", keys[0]),
            await status_of(replica, "fraud-1"),
        ]
        rights.unlink()
        keys.append(write_key(rights, "web", {"caller": []}).secret)
        async with asyncio.timeout(20):
            while await status_of(replica, "other", keys[1]) != 200:  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
        after = await status_of(replica, "fraud-1", keys[0])
    assert [200, 403, 401] == before
    assert 401 == after


async def status_of(replica: Serving, model: str, key: str = "") -> int:
    """The status of a call over REST with a key."""
    url = f"http://{replica.fronts.http_address}/v2/models/{model}/infer"
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json={"inputs": [tensor]}) as response,
    ):
        return response.status


async def eventually_ready(replica: Serving) -> None:
    """Wait until all models are loaded."""
    async with asyncio.timeout(20):
        while (await readiness(replica))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


async def test_tokens_of_an_issuer_over_tls(tmp_path: Path) -> None:
    """The identity file names the issuer, the rights file what its subjects may; ports speak TLS."""
    put(tmp_path / "models", "m/model.onnx", 2)
    authority = Authority.create("tests", timedelta(days=1))
    issued = authority.issue(Names(["localhost"], ["127.0.0.1"]), timedelta(days=1), serves=True)
    (tmp_path / "tls.crt").write_bytes(issued.certificate)
    (tmp_path / "tls.key").write_bytes(issued.key)
    (tmp_path / "jwks.json").write_bytes(jwks(jwk(ec_key(), "e1")))
    (tmp_path / "identity.toml").write_text(
        f'[[issuers]]\nname = "corp"\nissuer = "{ISSUER}"\naudiences = ["{AUDIENCE}"]\njwks = "jwks.json"'
    )
    (tmp_path / "rights.toml").write_text(
        '[[grants]]\nsubject = "corp:alice"\nrole = "caller"\nmodels = ["m"]'
    )
    options = {
        "auth": "on",
        "rights_file": tmp_path / "rights.toml",
        "identity_file": tmp_path / "identity.toml",
        "tls_cert": tmp_path / "tls.crt",
        "tls_key": tmp_path / "tls.key",
    }
    trusting = ssl.create_default_context(cadata=authority.issued.certificate.decode())
    async with serving(tmp_path / "models", tmp_path / "data", **options) as replica:
        url = f"https://{replica.fronts.http_address}/v2/models/m/infer"
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
        async with aiohttp.ClientSession() as session:

            async def status(subject: str) -> int:
                headers = {"authorization": f"Bearer {token(sub=subject)}"}
                body = {"inputs": [tensor]}
                async with session.post(url, json=body, headers=headers, ssl=trusting) as response:
                    return response.status

            async with asyncio.timeout(20):
                while await status("alice") != 200:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)
            assert 403 == await status("bob")
    assert "grpcio" == replica.fronts.front
