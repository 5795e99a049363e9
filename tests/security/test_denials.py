"""Who is refused a change is in the log, with who he is; a flood of refusals is not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.security.api_keys import id_of
from headrace.security.callers import Caller
from headrace.security.verbs import Verb
from headrace.service.denials import MOST_RECORDS, WINDOW_SECONDS, DenialLog
from tests.security.registries import bearer, reason_of, secured_registry
from tests.security.test_services_http import serving

LOGGER = "headrace.service.denials"


async def test_a_denied_change_is_in_the_log(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the caller, the proof, the address, the method and the model; a denied look is not."""
    async with secured_registry(redis_url, namespace, tmp_path) as secured:
        key = await secured.key("vera", ("viewer", "digits"))
        caplog.clear()
        for model in ("digits", "faces"):
            request = pb.DeleteModelRequest(name=f"models/{model}")
            call = secured.stub.DeleteModel(request, metadata=bearer(key))
            assert "PERMISSION_DENIED" == await reason_of(call)
        seen = pb.GetModelRequest(name="models/faces")
        await reason_of(secured.stub.GetModel(seen, metadata=bearer(key)))
        await reason_of(secured.stub.ListChanges(pb.ListChangesRequest(), metadata=bearer(key)))
    records: list[Any] = [each for each in caplog.records if each.name == LOGGER]
    first = records[0]
    assert ["digits"] == first.models
    assert ("vera", "api-key", id_of(key)) == (first.actor, first.proof, first.proved_by)
    assert first.method.endswith("/DeleteModel")
    assert first.peer.startswith("ipv4:127.0.0.1:")
    assert ["delete", "delete"] == [each.verb for each in records[:2]]
    assert all(key not in repr(vars(each)) for each in records)
    assert not any(each.verb == "read" for each in records)


async def test_a_denied_change_over_http_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """With the route; a denied look is not."""
    async with serving() as scene:
        path = "/v2/repository/models/team-a/load"
        assert (403, "PERMISSION_DENIED") == await scene.ask(path, "team", method="POST")
        assert (403, "PERMISSION_DENIED") == await scene.ask("/v2/models/other", "team")
    (record,) = [each for each in caplog.records if each.name == LOGGER]
    told: Any = record
    assert ("team", f"POST {path}", ["team-a"]) == (told.actor, told.method, told.models)


def test_a_flood_is_cut_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """So many in a time; the next one says how many were left out."""
    now = 0.0
    log = DenialLog(lambda: now)
    with caplog.at_level(logging.WARNING, LOGGER):
        for _ in range(1000):
            log.note(Caller("eve"), "/m", Verb.PUSH, ["x"] * 1000)
        now = WINDOW_SECONDS
        log.note(Caller("eve"), "/m", Verb.PUSH, ())
        log.note(Caller("eve"), "/m", Verb.INFER, ())
    records: list[Any] = caplog.records
    assert MOST_RECORDS + 1 == len(records)
    assert (5, 1000 - MOST_RECORDS) == (len(records[0].models), records[-1].left_out)
