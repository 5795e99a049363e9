"""The references of versions as the registry keeps them, fetched once somebody asks for one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict

from headrace import errors
from headrace.client import methods
from headrace.conversion.data_profiles import reference_from_proto
from headrace.data_profiles.references import Reference
from headrace.registry.v1 import reference_service_pb2
from headrace.resource_names import reference_resource
from headrace_monitor.adapters.registry.calls import RegistryCalls

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How soon one that was asked for is fetched."""

MISSED_SECONDS = 30.0
"""How long one that is not there, or is another, is not asked for again."""

MAX_KEPT = 64
"""Whoever asked has what he needs of it: this is for those who ask again soon."""

_Key = tuple[str, int]
_Wanted = tuple[str, int, str]


class FetchedReferences:
    """Answers at once, from any thread, with what was fetched; what was not is fetched by `run`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Reference] = OrderedDict()
        self._wanted: set[_Wanted] = set()
        self._missed: dict[_Wanted, float] = {}

    def reference(self, model: str, version: int, digest: str) -> Reference | None:
        """The reference of a version that has a digest; None where it is another, or not here yet."""
        with self._lock:
            found = self._kept.get((model, version))
            if found is not None and found.layout.reference == digest:
                return found
            if (model, version, digest) not in self._missed:
                self._wanted.add((model, version, digest))
        return None

    async def run(self, calls: RegistryCalls) -> None:
        """Fetch what is asked for, for ever; a registry that is away is asked again later."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for wanted in self._take_wanted():
                await self._fetch(calls, wanted)

    def _take_wanted(self) -> set[_Wanted]:
        now = asyncio.get_running_loop().time()
        with self._lock:
            self._missed = {
                key: at for key, at in self._missed.items() if now - at < MISSED_SECONDS
            }
            wanted, self._wanted = self._wanted, set()
        return wanted

    async def _fetch(self, calls: RegistryCalls, wanted: _Wanted) -> None:
        model, version, digest = wanted
        request = reference_service_pb2.GetReferenceRequest(name=reference_resource(model, version))
        try:
            answer = await calls.ask(methods.GET_REFERENCE, request)
            found = await asyncio.to_thread(reference_from_proto, answer.reference)
        except (errors.HeadraceError, ValueError) as error:
            logger.info("a reference was not fetched: %s", error, extra={"model": model})
            self._miss(wanted)
            return
        with self._lock:
            self._kept[model, version] = found
            self._kept.move_to_end((model, version))
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        if found.layout.reference != digest:
            self._miss(wanted)

    def _miss(self, wanted: _Wanted) -> None:
        with self._lock:
            self._missed[wanted] = asyncio.get_running_loop().time()
