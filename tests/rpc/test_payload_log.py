"""The payload log of a real replica: both fronts and REST, both formats, masks, failures, retention."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from headrace import AsyncClient
from headrace.payload_log.formats import records_in
from headrace.payload_log.places import LoggedFile, file_name, open_place
from headrace.payload_log.records import PayloadRecord, array_of
from headrace.telemetry.sampled_ids import is_sampled
from headrace_inference.adapters.payload_log import Keeping, out_of_bounds
from headrace_inference.app.replica import Serving
from headrace_inference.settings import Settings
from tests.e2e.models import scaling
from tests.rpc.registry_fixtures import eventually
from tests.rpc.test_object_store import bucket, server  # noqa: F401  # fixtures
from tests.rpc.test_serve_folder import serving

ROW = np.array([[1.5, -2.0]], np.float32)


def echo() -> bytes:
    """A graph that answers with the text that it gets."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["said"])],
        "echo",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("said", TensorProto.STRING, ["batch", 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of a model that multiplies and one that echoes."""
    for name, content in (("scale", scaling(3)), ("echo", echo())):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.onnx").write_bytes(content)
    return tmp_path / "models"


def logging_to(where: Path | str, **more: Any) -> dict[str, Any]:
    """The settings of a log of everything that comes."""
    return {
        "payload_log": str(where),
        "payload_share": 1.0,
        "payload_file_seconds": 0.0,
        "payload_fields": ("inputs", "outputs"),
        **more,
    }


def logged(where: Path | str) -> list[PayloadRecord]:
    """All records that are there."""
    place = open_place(str(where))
    return [
        record for file in place.files() for record in records_in(file.name, place.read(file.name))
    ]


async def over_rest(replica: Serving, request_id: str) -> None:
    """Ask for three times ROW over REST."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": ROW.tolist()}
    url = f"http://{replica.fronts.http_address}/v2/models/scale/infer"
    body = {"id": request_id, "inputs": [tensor], "parameters": {"tier": "gold"}}
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as response:
        assert 200 == response.status, await response.text()


def client_of(replica: Serving) -> AsyncClient:
    """A client of a replica alone."""
    return AsyncClient(inference=replica.fronts.grpc_address)


async def metrics_of(replica: Serving) -> str:
    """The replica's metrics."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://{replica.fronts.metrics_address}/metrics") as response,
    ):
        return await response.text()


@pytest.mark.parametrize(
    ("front", "file_format"), [("native", "jsonl"), ("grpcio", "jsonl"), ("native", "parquet")]
)
async def test_requests_and_answers_are_logged(
    tmp_path: Path, models: Path, front: str, file_format: str
) -> None:
    """Of each wire, in each format: what was asked, what was answered, and by whom."""
    log = tmp_path / "log"
    more = logging_to(
        log,
        front=front,
        payload_format=file_format,
        slice_by=("header:x-region",),
        payload_fields=("inputs", "outputs", "header:x-region", "parameter:tier"),
    )
    async with serving(models, tmp_path / "data", **more) as replica:
        async with client_of(replica) as client:
            headers = {"x-region": "eu", "x-secret": "hush"}
            await client.infer("scale", {"x": ROW}, request_id="one", headers=headers)
        await over_rest(replica, "two")
    records = {record.request_id: record for record in logged(log)}
    assert {"one", "two"} == set(records)
    for record in records.values():
        assert ("scale", 1, "") == (record.model, record.version, record.error)
        assert record.latency_ms > 0
        given, answered = array_of(record.inputs[0]), array_of(record.outputs[0])
        assert given is not None
        assert answered is not None
        assert (ROW == given).all()
        assert (3 * ROW == answered).all()
    assert (["header x-region=eu"], {"x-region": "eu"}) == (
        records["one"].slices,
        records["one"].headers,
    )
    assert {"tier": "gold"} == records["two"].parameters
    modes = {stat.S_IMODE(path.stat().st_mode) for path in log.iterdir()}
    assert ({0o600}, 0o700) == (modes, stat.S_IMODE(log.stat().st_mode))


async def test_nothing_but_what_is_allowed(tmp_path: Path, models: Path) -> None:
    """By default no value is written; what is large is told by its shape; texts are masked."""
    plain, masked = tmp_path / "plain", tmp_path / "masked"
    text = np.array([["ask ann@example.org"], ["card 4111111111111111"]], np.object_)
    for where, fields in ((plain, ()), (masked, ("inputs", "output:y"))):
        more = logging_to(where, payload_fields=fields, payload_max_values=2)
        async with (
            serving(models, tmp_path / "data", **more) as replica,
            client_of(replica) as client,
        ):
            await client.infer("scale", {"x": np.repeat(ROW, 2, axis=0)})
            await client.infer("echo", {"text": text})
    for record in logged(plain):
        assert [None] * 2 == [each.data for each in (*record.inputs, *record.outputs)]
        assert {"not allowed"} == {each.left for each in (*record.inputs, *record.outputs)}
    by_model = {record.model: record for record in logged(masked)}
    assert ("too large", [2, 2]) == (
        by_model["scale"].inputs[0].left,
        by_model["scale"].inputs[0].shape,
    )
    said = by_model["echo"].inputs[0]
    assert (["ask [email]", "card [card]"], "masked") == (said.data, said.left)
    assert ["input:text"] == by_model["echo"].masked
    assert array_of(said) is None
    written = b"".join(path.read_bytes() for path in (*plain.iterdir(), *masked.iterdir()))
    assert b"ann@" not in written
    assert b"4111" not in written


async def test_the_share_is_that_of_ids(tmp_path: Path, models: Path) -> None:
    """Requests are chosen by the hash of their ids, the rows of a second bound them, and both are told."""
    log = tmp_path / "log"
    ids = [f"request-{number}" for number in range(40)]
    more = logging_to(log, payload_share=0.5)
    async with (
        serving(models, tmp_path / "data", **more) as replica,
        client_of(replica) as client,
    ):
        for each in ids:
            await client.infer("scale", {"x": ROW}, request_id=each)
    assert {each for each in ids if is_sampled(each, 0.5)} == {
        record.request_id for record in logged(log)
    }
    few = tmp_path / "few"
    async with (
        serving(models, tmp_path / "data", **logging_to(few, payload_rows=0.1)) as replica,
        client_of(replica) as client,
    ):
        for each in ids[:5]:
            await client.infer("scale", {"x": ROW}, request_id=each)
        assert 'payload_records_total{outcome="dropped"} 4' in await metrics_of(replica)
    assert ["request-0"] == [record.request_id for record in logged(few)]


async def test_errors_are_logged_with_their_reasons(tmp_path: Path, models: Path) -> None:
    """A request that a version took and could not answer has its inputs in the log, and the reason."""
    log = tmp_path / "log"
    (models / "odd").mkdir()
    (models / "odd" / "model.onnx").write_bytes(indexing())
    async with (
        serving(models, tmp_path / "data", **logging_to(log)) as replica,
        client_of(replica) as client,
    ):
        await client.infer("odd", {"place": np.array([1], np.int64)})
        with pytest.raises(Exception, match="onnx runtime error"):
            await client.infer("odd", {"place": np.array([99], np.int64)}, request_id="far")
    (good, bad) = sorted(logged(log), key=lambda record: record.error)
    assert ("", [1]) == (good.error, good.inputs[0].data)
    assert ("far", [99], []) == (bad.request_id, bad.inputs[0].data, bad.outputs)
    assert bad.error in {"RUN_FAILED", "INPUTS_REFUSED"}


def indexing() -> bytes:
    """A graph that fails where its input is no place among three."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "place"], ["y"], axis=0)],
        "odd",
        [helper.make_tensor_value_info("place", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


async def test_a_log_that_cannot_be_written_costs_no_request(
    tmp_path: Path, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The records are lost and counted, and it is said once."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    more = logging_to(blocked / "log", payload_file_seconds=0.0)
    async with (
        serving(models, tmp_path / "data", **more) as replica,
        client_of(replica) as client,
    ):
        for place in range(2):
            answer = await client.infer("scale", {"x": ROW})
            assert (3 * ROW == answer["y"]).all()
            if place == 0:
                await eventually(lambda: len(told(caplog)) == 1)
                assert 'payload_records_total{outcome="lost"} 1' in await metrics_of(replica)
    assert 1 == len(told(caplog))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged of the payload log."""
    texts = [record.getMessage() for record in caplog.records]
    return [text for text in texts if "payload log" in text]


async def test_a_store_of_objects(tmp_path: Path, models: Path, bucket: Any) -> None:  # noqa: F811
    """The same files lie in a bucket, and the oldest go first."""
    where = f"{bucket.url}/log"
    async with (
        serving(models, tmp_path / "data", **logging_to(where)) as replica,
        client_of(replica) as client,
    ):
        await client.infer("scale", {"x": ROW}, request_id="here")
    records = await asyncio.to_thread(logged, where)
    assert ["here"] == [record.request_id for record in records]


def test_what_is_kept() -> None:
    """Files that are too old go, then the oldest until the rest fits."""
    day = 86_400.0
    files = [LoggedFile(file_name(number * day, "r-1", 1, "jsonl"), 100) for number in range(1, 7)]
    kept = Keeping("jsonl", 60, keep_days=4, max_bytes=250)
    assert files[:4] == out_of_bounds(files, kept, now=7 * day)
    assert [] == out_of_bounds(files, Keeping("jsonl", 60, 0, 0), now=7 * day)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"payload_fields": ("input",)}, "input:NAME"),
        ({"payload_masks": ("mail",)}, "email"),
        ({"payload_masks": ("email=hash",)}, "--payload-key-file"),
        ({"payload_log": "ftp://host/x"}, "s3://"),
        ({"payload_share": 2.0}, "from 0 to 1"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, given: dict[str, Any], wrong: str) -> None:
    """Each is refused with what is allowed."""
    with pytest.raises(ValueError, match=wrong):
        Settings(tmp_path, model_folder=tmp_path, **{"payload_log": "log", **given})


def test_files_that_are_none(tmp_path: Path) -> None:
    """What no replica wrote is said to be unreadable."""
    (tmp_path / "other.jsonl").write_text('{"time": 3}\n')
    place = open_place(str(tmp_path / "other.jsonl"))
    with pytest.raises(Exception, match="no file of a payload log"):
        list(records_in("other.jsonl", place.read("other.jsonl")))
