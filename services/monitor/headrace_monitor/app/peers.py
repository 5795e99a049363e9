"""Opens what answers questions, also by asking the other monitors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager

from headrace_monitor.adapters.peers import open_peers
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.ledger.ledger import Ledger
from headrace_monitor.domain.queries.query_engine import QueryEngine
from headrace_monitor.domain.queries.shared_questions import SharedQueryEngine
from headrace_monitor.settings import Settings
from headrace_monitor.wire.grpc.peer_convert import answer_from_bytes, question_to_bytes


@asynccontextmanager
async def open_query_engine(
    settings: Settings, ledger: Ledger, clock: Clock, thread: Executor
) -> AsyncIterator[QueryEngine]:
    """What answers questions while inside: for the peers too, where there are any.

    Raises FailedPrecondition where the files of TLS or the token cannot be used.
    """
    if not settings.peer_addresses:
        yield QueryEngine(ledger, clock, thread)
        return
    async with open_peers(settings, question_to_bytes, answer_from_bytes) as peers:
        yield SharedQueryEngine(ledger, clock, thread, peers)
