"""Follows which replicas the registry knows, and tells Envoy."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from headrace import addresses, errors
from headrace.gateway.config.endpoints import Endpoint, EndpointState, assignment
from headrace.gateway.config.places import GRPC_REPLICAS, REST_REPLICAS, Places
from headrace.gateway.files import replace_message
from headrace.gateway.replica_addresses import KnownReplica, KnownReplicas
from headrace.state.records import ReplicaRecord

logger = logging.getLogger(__name__)

ReadReplicas = Callable[[], Awaitable[Sequence[ReplicaRecord]]]
"""Asks the registry. Raises HeadraceError."""


class ReplicaFollower:
    """The replicas that Envoy is told of. What was known last holds while the registry is away."""

    def __init__(self, read: ReadReplicas, places: Places, notice_seconds: float) -> None:
        self.known = KnownReplicas()
        self.problem = "the registry was not asked yet"
        """Why what is known may be old; '' where it is not."""
        self.answered_at: float | None = None
        """When the registry answered last, by the monotonic clock."""
        self._read = read
        self._places = places
        self._notice_seconds = notice_seconds

    def prepare(self) -> None:
        """Make the files that Envoy begins with: those of the life before, if there was one."""
        self._places.endpoints.mkdir(mode=0o700, parents=True, exist_ok=True)
        for cluster in (GRPC_REPLICAS, REST_REPLICAS):
            file = self._places.endpoint_file(cluster)
            if not file.exists():
                replace_message(file, assignment(cluster, ()))

    async def run(self, seconds: float) -> None:
        """Ask the registry every so many seconds, for ever."""
        while True:
            await self.follow()
            await asyncio.sleep(seconds)

    async def follow(self) -> None:
        """Ask once, and tell Envoy what has changed."""
        try:
            records = await self._read()
        except errors.HeadraceError as error:
            self._lost(error)
            return
        if self.problem and self.answered_at is not None:
            logger.info("the registry says again which replicas there are")
        now = self.answered_at = time.monotonic()
        self.problem = ""
        self.known = self.known.followed(records, now, self._notice_seconds)
        try:
            await self._tell()
        except OSError as error:
            self.problem = f"the replicas' addresses cannot be written: {error}"
            logger.error(self.problem)  # noqa: TRY400

    def _lost(self, error: errors.HeadraceError) -> None:
        if not self.problem or self.answered_at is None:
            facts = {"reason": error.reason, "replicas": len(self.known.by_id)}
            logger.warning(
                "the registry does not say which replicas there are, those known last go on: %s",
                error,
                extra=facts,
            )
            self.answered_at = self.answered_at or float("-inf")
        self.problem = error.message

    async def _tell(self) -> None:
        known = self.known.by_id.values()
        for cluster, of in ((GRPC_REPLICAS, _grpc), (REST_REPLICAS, _rest)):
            endpoints = await _resolved((of(replica), replica.state) for replica in known)
            if replace_message(self._places.endpoint_file(cluster), assignment(cluster, endpoints)):
                count = self.known.count(EndpointState.HEALTHY)
                facts = {"cluster": cluster, "addresses": len(endpoints), "serving": count}
                logger.info("the replicas have changed", extra=facts)


def _grpc(replica: KnownReplica) -> str:
    return replica.grpc_address


def _rest(replica: KnownReplica) -> str:
    return replica.rest_address


async def _resolved(found: Iterable[tuple[str, EndpointState]]) -> list[Endpoint]:
    """Addresses by numbers, which are all that Envoy takes in such files; none twice."""
    states: dict[str, EndpointState] = {}
    for address, state in found:
        number = await _number(address)
        if number and states.get(number) is not EndpointState.HEALTHY:
            states[number] = state
    return [Endpoint(address, state) for address, state in states.items()]


async def _number(address: str) -> str:
    if address.startswith("unix:"):
        return address
    host, port = addresses.split(address)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # a port, or a name, that is none
        facts = {"address": address, "error": str(error)}
        logger.warning("a replica's address is not known here", extra=facts)
        return ""
    return addresses.join(str(found[0][4][0]), int(port))
