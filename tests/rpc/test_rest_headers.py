"""Headers of a REST request: 64 KiB in all are taken, and more are refused with a status that says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from headrace.datatypes import Datatype
from tests.rpc.grpc_fixtures import GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import ECHO, GOOD, echo
from tests.rpc.test_refusals_are_counted import counted, shown

KB = 1000


def one_of(size: int) -> dict[str, str]:
    """A header of this size."""
    return {"Authorization": "a" * size}


def ten_of(size: int) -> dict[str, str]:
    """Ten headers of this size together."""
    return {f"X-Part-{place}": "a" * (size // 10) for place in range(10)}


async def posted(replica: GrpcReplica, headers: dict[str, str]) -> tuple[int, str]:
    """The status, and the reason of a refusal, of a good request with these headers."""
    url = f"http://{replica.http_address}{ECHO}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=GOOD, headers=headers) as response,
    ):
        return response.status, (await response.json()).get("reason", "")


@pytest.mark.parametrize("headers_of", [one_of, ten_of])
async def test_headers_of_64_kib_are_taken_and_no_more(tmp_path: Path, headers_of: object) -> None:
    """In one header or in ten; what is refused is counted."""
    assert callable(headers_of)
    refused = (431, "REQUEST_HEADER_FIELDS_TOO_LARGE")
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32)) as replica:
        assert (200, "") == await posted(replica, headers_of(60 * KB))
        assert refused == await posted(replica, headers_of(70 * KB))
        assert (200, "") == await posted(replica, headers_of(60 * KB))
        assert {refused[1]: 1} == await shown(replica)


async def test_a_long_path_counts_as_well(tmp_path: Path) -> None:
    """It stands in front of the body, too."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32)) as replica:
        url = f"http://{replica.http_address}/v2/models/{'a' * 70 * KB}/infer"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=GOOD) as response,
        ):
            assert 431 == response.status
        assert Counter({"REQUEST_HEADER_FIELDS_TOO_LARGE": 1}) == counted(replica)
