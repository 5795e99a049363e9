"""REST requests as the ingress takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headrace.errors import HeadraceError
from headrace.security.credentials import PeerCertificate
from headrace.service.http.answers import Response
from headrace.state.records import VersionRecord
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.ingress.incoming import Fit, RequestHeader, Wire
from headrace_inference.domain.ingress.ingress import in_graph_order
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_calls import LoopCall
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.routing.request_texts import Headers
from headrace_inference.domain.scheduling.requests import RequestPlan, TensorData
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.rest.answers import check_answerable, encode_rest_answer
from headrace_inference.wire.rest.generate import Members, encode_generated, generate_request
from headrace_inference.wire.rest.requests import RestRequest

_NO_REGIONS = RegionTable()


@dataclass(slots=True, eq=False)
class InferIncoming:
    """A request of the protocol's form."""

    header: RequestHeader
    metadata: Headers
    is_slow: bool
    call: LoopCall[Response]
    request: RestRequest
    given: Sequence[TensorData] | None
    """Its values, in its own order, where they were read with its form."""
    certificate: PeerCertificate | None = None
    wire: ClassVar[Wire] = "http"

    @property
    def id_text(self) -> str:
        """The request's id."""
        return self.request.id

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """Fit it as one with the same header was, with its own values."""
        plan = self.header.plans.get(version.id)
        if plan is None or plan.output_options is not None:
            return None
        try:
            return plan, in_graph_order(version, plan, self.values(_NO_REGIONS))
        except HeadraceError:  # whoever fits it anew says so
            return None

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument."""
        plan = self.header.plans.get(version.id)
        if plan is None:
            plan = _plan(self.request, version)
            self.header.plans[version.id] = plan
        return plan

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """The values of its inputs. Raises HeadraceError."""
        return self.request.contents(regions) if self.given is None else self.given

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """Nothing is left to do: its header has the plan."""

    def response(self, answer: Answer, limit: AnswerLimit) -> Response:
        """Encode the answer to it. Raises HeadraceError."""
        return encode_rest_answer(self.request, answer, limit)


@dataclass(slots=True, eq=False)
class GenerateIncoming:
    """A request of the generate form, which takes its shape from the version that answers it."""

    header: RequestHeader
    metadata: Headers
    is_slow: bool
    call: LoopCall[Response]
    members: Members
    as_event: bool
    certificate: PeerCertificate | None = None
    request: RestRequest | None = None
    _record: VersionRecord | None = None
    wire: ClassVar[Wire] = "http"

    @property
    def id_text(self) -> str:
        """The request's id."""
        return self.read.id

    @property
    def read(self) -> RestRequest:
        """The request, once a version has planned it."""
        assert self.request is not None
        return self.request

    def known_fit(self, version: LoadedVersion) -> Fit | None:
        """Return None: nothing is known beforehand."""
        return None

    def read_for(self, record: VersionRecord) -> RestRequest:
        """The request as this version takes it. Raises InvalidArgument."""
        if self.request is None or self._record is not record:
            self.request = generate_request(record, self.members)
            self._record = record
            self.header.parameters = self.request.parameters
        return self.request

    def plan(self, version: LoadedVersion) -> RequestPlan:
        """Plan how it runs on a version. Raises InvalidArgument."""
        return _plan(self.read_for(version.record), version)

    def values(self, regions: RegionTable) -> Sequence[TensorData]:
        """The values of its inputs. Raises HeadraceError."""
        return self.read.contents(regions)

    def remember(self, version: LoadedVersion, fit: Fit) -> None:
        """Forget it."""

    def response(self, answer: Answer, limit: AnswerLimit) -> Response:
        """Encode the answer to it. Raises HeadraceError."""
        return encode_generated(self.read, answer, limit, as_event=self.as_event)


def _plan(request: RestRequest, version: LoadedVersion) -> RequestPlan:
    plan = version.plan_request(
        request.headers, request.outputs, request.options, request.parameters
    )
    check_answerable(request, version, plan)
    return plan
