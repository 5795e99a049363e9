"""What does each feature cost on the hot path? Microseconds a request, in one process, without a network.

    python -m benchmarks.hot_path [--requests N]

Bursts of requests for the MLP go through the native front's own code, from received bytes to answered
bytes, with a front that takes the answers and does nothing. Each row changes one thing; in brackets is the
difference to everything as it is. A difference within the noise is none.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.models import MLP
from benchmarks.servers import request_for
from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from headrace.security.access import OPEN_ACCESS, Access, Rights
from headrace.security.api_keys import ApiKey, digest_of, make_key
from headrace.security.credentials import Credentials
from headrace.security.identities import Identity, Proof
from headrace.security.policy import NO_LIMITS, Binding, CallLimits, Grant, Policy
from headrace.state.catalog import Catalog
from headrace.state.records import (
    Batching,
    ModelRecord,
    ServingConfig,
    Signature,
    TensorSpec,
    VersionRecord,
)
from headrace.state.route_records import (
    Canary,
    KeySource,
    RequestKey,
    RouteRecord,
    Shadow,
)
from headrace_inference.adapters.runtime import onnx_runtime
from headrace_inference.adapters.sampling_thread import looking_at_rows
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.adapters.trace_file import open_trace_file
from headrace_inference.domain.extensions.trace_settings import TraceSettings
from headrace_inference.domain.extensions.tracing import Tracer
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.sampling.row_profiles import RowProfiles
from headrace_inference.domain.sampling.rows import SampledRows
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.sampling.slices import slicings
from headrace_inference.domain.sampling.version_sampler import SamplingRules
from headrace_inference.domain.scheduling.requests import InferenceRequest
from headrace_inference.domain.scheduling.runner import Runner
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from headrace_inference.wire.native.front import NativeFront

SIGNATURE = Signature(
    (TensorSpec("x", Datatype.FP32, (-1, 16), ("batch", "")),),
    (TensorSpec("y", Datatype.FP32, (-1, 4), ("batch", "")),),
)
METADATA = (("user-agent", "grpc-python/1.85.1 grpc-c/55.0.0 (linux; chttp2)"),)
CANARY = Canary(2, 10.0)
STICKY = RouteRecord(1, CANARY, sticky_key=RequestKey(KeySource.HEADER, "x-user"))
SUBJECT = "alice"
JWT = ".".join(("e" * 100, "y" * 600, "J" * 86))
BURSTS = (1, 8, 64)
ROUNDS = 12


class NoFront:
    """Takes answers, and counts them."""

    def __init__(self) -> None:
        self.answered = 0

    def respond(self, call_id: int, payload: bytes) -> bool:
        """Count."""
        self.answered += 1
        return True

    def metrics(self) -> None:
        """Nothing is counted: all answers are read."""

    def fail(self, call_id: int, code: int, message: str, trailers: Any) -> bool:
        """No request of this benchmark fails."""
        raise AssertionError(message)


class Loader:
    """Opens the MLP."""

    def __init__(self, folder: Path) -> None:
        self._graph = folder / "model.onnx"
        self._graph.write_bytes(MLP.graph())

    async def load(self, record: VersionRecord) -> Runner:
        """The MLP, whatever the record."""
        return onnx_runtime.open_session(self._graph, record)


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to drive the front: its requests, one after the other, and what is changed in it."""

    name: str
    payloads: Sequence[bytes]
    details: Any = (METADATA, "ipv4:127.0.0.1:1", None)
    prepare: Callable[[NativeFront, LoadedVersion], None] | None = None
    route: RouteRecord = RouteRecord(1)
    models: int = 0
    """So many more models with one version each, to which the payloads may go."""
    traced: bool = False
    """Whether every request is traced, into a file."""
    access: Access = OPEN_ACCESS
    """Who may call."""
    sampled_rows: float = 0.0
    """Rows a second that are copied and profiled, by a thread of their own."""
    sliced: bool = False
    """Whether they are told apart by a header."""
    id_share: float = 0.0
    """The share of requests with an id whose answers are kept."""


class Rig:
    """A front over a reconciler with two versions of the MLP."""

    def __init__(
        self,
        reconciler: VersionReconciler,
        book: StatisticsRegistry,
        tracer: Tracer | None = None,
        access: Access = OPEN_ACCESS,
    ) -> None:
        self._reconciler = reconciler
        self._sink = NoFront()
        limits = IngressLimits(2**16, 2**32, 2**31 - 1)
        callers = Callers(reconciler.clock, access)
        ingress = Ingress(reconciler, book, tracer=tracer, limits=limits, callers=callers)
        self.front = NativeFront(self._sink, ingress)

    def microseconds(self, variant: Variant, burst: int, requests: int) -> float:
        """The time a request took in the fastest round: whatever else the machine does only adds."""
        for _ in range(50):
            self._send(variant, burst, burst)
        return min(self._send(variant, burst, requests) / requests * 1e6 for _ in range(ROUNDS))

    def _send(self, variant: Variant, burst: int, requests: int) -> float:
        bursts = _bursts(variant, burst, requests)
        started = time.perf_counter()
        for events in bursts:
            wanted = self._sink.answered + len(events)
            self.front.take(events, time.monotonic_ns())
            while self._sink.answered < wanted:
                time.sleep(0)
        return time.perf_counter() - started


def _bursts(variant: Variant, burst: int, requests: int) -> list[list[Any]]:
    """Events as the native package gives them: kind, call id, method, payload, client key, details."""
    count = len(variant.payloads)
    events = [
        (0, number, 0, variant.payloads[number % count], "client", variant.details)
        for number in range(requests)
    ]
    return [events[start : start + burst] for start in range(0, requests, burst)]


def with_ids(count: int) -> list[bytes]:
    """Requests that differ in their ids."""
    message = pb.ModelInferRequest.FromString(request_for(MLP))
    payloads = []
    for number in range(count):
        message.id = f"{number:08d}"
        payloads.append(message.SerializeToString())
    return payloads


def of_models(count: int) -> list[bytes]:
    """Requests of so many models, one after the other."""
    message = pb.ModelInferRequest.FromString(request_for(MLP))
    payloads = []
    for number in range(count):
        message.model_name = f"m{number:03d}"
        payloads.append(message.SerializeToString())
    return payloads


class AnyToken:
    """Takes every JWT for good: what is measured is a token that was verified before."""

    def verify(self, token: str) -> Identity:
        """Whose it is."""
        return Identity(SUBJECT, Proof.TOKEN, "corp")


def access_for(key: str, limits: CallLimits = NO_LIMITS) -> Access:
    """Who may call, where one subject may, with this key or with any JWT."""
    policy = Policy(bindings={SUBJECT: Binding((Grant("caller", ("*-digits", MLP.name)),), limits)})
    access = Access(tokens=AnyToken())
    access.rights = Rights({digest_of(key): ApiKey("a" * 8, SUBJECT, digest_of(key))}, policy)
    access.identify(Credentials(f"Bearer {JWT}"))
    return access


def authorized(token: str) -> Any:
    """The details of a call that brings a token."""
    return (*METADATA, ("authorization", f"Bearer {token}")), "ipv4:127.0.0.1:1", None


def forget_templates(front: NativeFront, _: LoadedVersion) -> None:
    """Have every request scanned, its head looked up, and its contents checked anew."""
    parser = front._admission.parser
    parser.match = lambda payload: None


def forget_headers(front: NativeFront, served: LoadedVersion) -> None:
    """Have every request parsed by the generated code and planned anew, too."""
    forget_templates(front, served)
    parser = front._admission.parser
    parser._headers = _Forgetful()


class _Forgetful(dict[bytes, Any]):
    def get(self, key: bytes, default: Any = None) -> Any:
        return default


def no_statistics(_: NativeFront, served: LoadedVersion) -> None:
    """Count nothing."""
    served.statistics.record_run = lambda *_: None  # type: ignore[method-assign]


def queued(_: NativeFront, served: LoadedVersion) -> None:
    """Hand every request to an instance thread."""

    def never(requests: list[InferenceRequest], single_calls: int = 0) -> bool:
        return False

    served.try_run_inline = never  # type: ignore[method-assign]


async def measure(variant: Variant, requests: int) -> list[float]:
    """A fresh rig for the variant; microseconds a request by burst."""
    config = ServingConfig(batching=Batching(max_batch_size=64))
    first = VersionRecord(MLP.name, 1, "a", (), "model.onnx", SIGNATURE, config, 0.0)
    model = ModelRecord(MLP.name, 0.0, route=variant.route)
    versions = {(MLP.name, number): replace(first, number=number) for number in (1, 2)}
    models = {MLP.name: model}
    for name in [f"m{number:03d}" for number in range(variant.models)]:
        models[name] = replace(model, name=name)
        versions[name, 1] = replace(first, model=name)
    book = StatisticsRegistry()
    with (
        tempfile.TemporaryDirectory() as folder,
        _tracing(variant, Path(folder)) as tracer,
        _sampling(variant) as sampler,
    ):
        reconciler = VersionReconciler(Loader(Path(folder)), book, SYSTEM_CLOCK, 2, sampler=sampler)
        async with reconciler.running():
            reconciler.want(Catalog(1, models, versions))
            while len(reconciler.table.ready) < len(versions):  # noqa: ASYNC110 - they load in threads
                await asyncio.sleep(0.01)
            rig = Rig(reconciler, book, tracer, variant.access)
            if variant.prepare is not None:
                variant.prepare(rig.front, reconciler.table.ready[MLP.name, 1])
            return [rig.microseconds(variant, burst, requests) for burst in BURSTS]


class _Kept:
    """Takes answers, and does nothing with them."""

    def take(self, rows: SampledRows) -> None:
        """Nothing."""

    def seen(self, record: VersionRecord, rows: int) -> None:
        """Nothing."""


@contextlib.contextmanager
def _sampling(variant: Variant) -> Iterator[Sampler | None]:
    if not variant.sampled_rows and not variant.id_share:
        yield None
        return
    slicing = slicings(["header:user-agent"] if variant.sliced else [])
    rules = SamplingRules(slicing, variant.id_share)
    profiles = RowProfiles()
    by_budget = [profiles] if variant.sampled_rows else []
    sampler = Sampler(SYSTEM_CLOCK, variant.sampled_rows, rules, by_budget, [_Kept()])
    with looking_at_rows(sampler):
        yield sampler


@contextlib.contextmanager
def _tracing(variant: Variant, folder: Path) -> Iterator[Tracer | None]:
    if not variant.traced:
        yield None
        return
    with open_trace_file(folder / "traces") as log:
        yield Tracer(log, "traces", TraceSettings(("TIMESTAMPS",), rate=1))


def variants() -> tuple[Variant, list[Variant]]:
    """The whole path as it is, and what is changed in it, one at a time."""
    plain = [request_for(MLP)]
    whole = Variant("everything on", plain)
    deadline = (METADATA, "ipv4:127.0.0.1:1", 10.0)
    user = ((*METADATA, ("x-user", "ada")), "ipv4:127.0.0.1:1", None)
    key = make_key()
    access, limited = access_for(key), access_for(key, CallLimits(requests_per_second=1e9))
    changed = [
        Variant("with auth on, by an API key", plain, authorized(key), access=access),
        Variant("with auth on, by a JWT", plain, authorized(JWT), access=access),
        Variant("with auth on, and a limit", plain, authorized(key), access=limited),
        Variant("with a request id", with_ids(512)),
        Variant("with a deadline", plain, details=deadline),
        Variant("with a canary at 10 %", plain, route=RouteRecord(1, CANARY)),
        Variant("with a canary and a sticky key", plain, user, route=STICKY),
        Variant("with a shadow at 10 %", plain, route=RouteRecord(1, shadow=Shadow(2, 10.0))),
        Variant("with every request traced", plain, traced=True),
        Variant("with 2,000 rows a second profiled", plain, sampled_rows=2000.0),
        Variant("with the same by a header", plain, sampled_rows=2000.0, sliced=True),
        Variant("with a request id, a tenth kept by it", with_ids(512), id_share=0.1),
        Variant("spread over 50 models", of_models(50), models=50),
        Variant("without statistics", plain, prepare=no_statistics),
        Variant("without templates: scanned, header looked up", plain, prepare=forget_templates),
        Variant("without kept headers: parsed and planned", plain, prepare=forget_headers),
        Variant("queued to an instance thread", plain, prepare=queued),
    ]
    return whole, changed


async def table(requests: int) -> None:
    """Measure all variants and print them with their difference to the whole."""
    whole, changed = variants()
    base = await measure(whole, requests)
    print(
        f"{'microseconds a request, in bursts of':44}" + "".join(f"{burst:>16}" for burst in BURSTS)
    )
    print(f"{whole.name:44}" + "".join(f"{value:>16.2f}" for value in base))
    for variant in changed:
        values = await measure(variant, requests)
        cells = [f"{v:.2f} ({v - b:+.2f})" for v, b in zip(values, base, strict=True)]
        print(f"{variant.name:44}" + "".join(f"{cell:>16}" for cell in cells))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--requests", type=int, default=4096, help="a round")
    asyncio.run(table(parser.parse_args().requests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
