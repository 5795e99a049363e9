"""Requests that are answered together and all traced: nothing of them is lost or mixed up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import Datatype
from tests.rpc.grpc_fixtures import FRONTS, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

REQUESTS = 200


@pytest.mark.parametrize("front", FRONTS)
async def test_requests_that_share_runs_have_a_trace_each(tmp_path: Path, front: str) -> None:
    """Many at once: answers as without traces, one line for each, numbered without a gap."""
    path = tmp_path / "traces"
    options: dict[str, Any] = {"trace_file": path, "trace_level": ("TIMESTAMPS",), "trace_rate": 1}
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front, **options) as replica:
        sent = [
            request("echo-FP32", np.array([n], np.float32), request_id=f"r{n}")
            for n in range(REQUESTS)
        ]
        answers = await asyncio.gather(*map(replica.stub.ModelInfer, sent))

    ids = [f"r{n}" for n in range(REQUESTS)]
    assert ids == [answer.id for answer in answers]
    assert [message.raw_input_contents[0] for message in sent] == [
        answer.raw_output_contents[0] for answer in answers
    ]
    traces = [json.loads(line) for line in path.read_text().splitlines()]
    assert list(range(REQUESTS)) == [trace["id"] for trace in traces]
    assert sorted(ids) == sorted(trace["request_id"] for trace in traces)
    ends = [trace["timestamps"][-1]["ns"] for trace in traces]
    assert ends == sorted(ends)
