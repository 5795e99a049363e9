"""The client of the suite for asyncio."""

from __future__ import annotations

import copy
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.client.access import AccessCalls
from headrace.client.alerts import AlertCalls
from headrace.client.audit import AuditCalls
from headrace.client.calls import Calls
from headrace.client.drift import DriftCalls
from headrace.client.encoding import EncodingCalls
from headrace.client.explanations import ExplanationCalls
from headrace.client.generation import GenerationCalls
from headrace.client.inference import InferenceCalls
from headrace.client.monitoring import MonitorCalls
from headrace.client.push import PushCalls
from headrace.client.quality import QualityCalls
from headrace.client.references import ReferenceCalls
from headrace.client.replicas import ReplicaCalls
from headrace.client.searches import SearchCalls
from headrace.client.settings import ClientSettings, read_client_settings
from headrace.client.signature_cache import SignatureCache


class AsyncClient(
    ExplanationCalls,
    PushCalls,
    SearchCalls,
    ReplicaCalls,
    AccessCalls,
    AuditCalls,
    ReferenceCalls,
    InferenceCalls,
    GenerationCalls,
    EncodingCalls,
    MonitorCalls,
    DriftCalls,
    AlertCalls,
    QualityCalls,
):
    """Push, route, infer and watch, from asyncio: `async with AsyncClient() as client`.

    Addresses and times come from arguments, then from HEADRACE_REGISTRY, HEADRACE_INFERENCE,
    HEADRACE_MONITOR and the like, then from defaults; nothing is connected before it is used. An address
    may be several, "A,B": inference is spread over replicas, and goes elsewhere when one dies or hangs.
    `tls_ca`, the certificates of authorities, has all be called over TLS, as grpcs://HOST:PORT one; with
    `tls_cert` and `tls_key` the client shows a certificate of its own. Calls bring the key in `token_file`.
    Every method takes `timeout_seconds`, its retries included. Expected errors are those of
    headrace.errors.
    Leaving the block, or `close`, ends the connections.
    """

    def __init__(
        self,
        *,
        registry: str | None = None,
        inference: str | None = None,
        monitor: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
        timeout_seconds: float | None = None,
        tls_ca: str | Path | None = None,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        token_file: str | Path | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self._calls = Calls(
            settings
            or read_client_settings(
                registry=registry,
                inference=inference,
                monitor=monitor,
                actor=actor,
                reason=reason,
                timeout_seconds=timeout_seconds,
                tls_ca=tls_ca,
                tls_cert=tls_cert,
                tls_key=tls_key,
                token_file=token_file,
            )
        )
        self._signatures = SignatureCache()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    @property
    def settings(self) -> ClientSettings:
        """What it was opened with: another process that has it opens the same."""
        return self._calls.settings

    def because(self, reason: str) -> Self:
        """The same client, over the same connections, whose changes have this reason in the change log.

        Closing one closes both. Raises ValueError for a reason that is too long, or of several lines.
        """
        other = copy.copy(self)
        other._calls = self._calls.because(reason)  # noqa: SLF001  # of its own class
        return other

    async def close(self) -> None:
        """End the connections; calls still running end as cancelled."""
        await self._calls.close()
