"""Templates of requests: a request that fits one is compared, not parsed."""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.scheduling.requests import RequestPlan, SharedMemorySlice
from headrace_inference.wire.codec.protobuf_fields import Range, malformed
from headrace_inference.wire.codec.typed_contents import TypedContents

MAX_TEMPLATES_PER_LENGTH = 8
"""That are compared one after the other; where there are more, they are found by the model's name."""
MAX_TEMPLATE_LENGTHS = 1024
MAX_NAMES = 4096
"""Of the models of templates that are found by name; over it they start over."""


@dataclass(slots=True, eq=False, kw_only=True)
class MessageHeader(RequestHeader):
    """A message without its id and raw contents."""

    contents: tuple[TypedContents | None, ...]
    """Each input's typed contents, or None."""
    windows: tuple[SharedMemorySlice | None, ...]
    """Each input's slice of shared memory, or None."""
    typed: bool
    """True where any input brings typed contents."""
    plain: bool
    """True where all inputs and outputs are in the messages, and outputs are wanted as values."""
    window_bytes: int
    """The bytes that are to be read from shared memory."""


ReadyFit = tuple[RequestPlan, tuple[Range, ...], bool]
"""How a request runs, where its raw contents lie, and whether any are large."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The places in requests of one length: of fixed bytes by their offsets, the id, the raw contents.

    Lengths are fixed bytes too, so every request that fits has raw contents of the same sizes. `ready` is
    filled by whoever checked them, by served id.
    """

    fixed: tuple[tuple[int, bytes], ...]
    id_range: Range
    raw: tuple[Range, ...]
    header: MessageHeader
    ready: dict[int, ReadyFit] = field(default_factory=dict)

    def id_in(self, payload: bytes) -> bytes:
        """The id of a request that fits. Raises InvalidArgument where it is no UTF-8."""
        start, end = self.id_range
        return checked_id(payload[start:end]) if end > start else b""


class TemplateTable:
    """The templates by the length of their requests, and where a length has many, by the model's name.

    A replica of many models gets requests of one length for all of them.
    """

    def __init__(self) -> None:
        self._by_length: dict[int, list[RequestTemplate]] = {}
        self._by_name: dict[tuple[int, bytes], list[RequestTemplate]] = {}
        self._crowded: set[int] = set()
        """The lengths whose templates are found by name."""

    def match(self, payload: bytes) -> RequestTemplate | None:
        """The template that the request fits, if one is known."""
        length = len(payload)
        for template in self._by_length.get(length, ()):
            for offset, fixed in template.fixed:
                if not payload.startswith(fixed, offset):
                    break
            else:
                return template
        if length in self._crowded:
            for template in self._by_name.get((length, _name_field(payload)), ()):
                for offset, fixed in template.fixed:
                    if not payload.startswith(fixed, offset):
                        break
                else:
                    return template
        return None

    def keep(self, length: int, template: RequestTemplate) -> None:
        """Remember the template of a request of this length that fits none yet."""
        if length in self._crowded:
            self._keep_by_name(length, template)
            return
        if length not in self._by_length and len(self._by_length) >= MAX_TEMPLATE_LENGTHS:
            del self._by_length[next(iter(self._by_length))]
        kept = self._by_length.setdefault(length, [])
        kept.insert(0, template)
        if len(kept) > MAX_TEMPLATES_PER_LENGTH:
            del self._by_length[length]
            self._crowded.add(length)
            for crowding in reversed(kept):
                self._keep_by_name(length, crowding)

    def _keep_by_name(self, length: int, template: RequestTemplate) -> None:
        if len(self._by_name) >= MAX_NAMES:  # a client with endless names must not grow us
            self._by_name.clear()
            self._crowded.clear()
            self._crowded.add(length)
        start = template.fixed[0][1] if template.fixed else b""
        kept = self._by_name.setdefault((length, _name_field(start)), [])
        kept.insert(0, template)
        del kept[MAX_TEMPLATES_PER_LENGTH:]


def _name_field(start: bytes) -> bytes:
    """The beginning of a request up to the end of the model's name, if that comes first."""
    return start[: 2 + start[1]] if start.startswith(b"\n") and len(start) > 1 else b""


def checked_id(request_id: bytes) -> bytes:
    if not request_id.isascii():
        try:
            request_id.decode()
        except UnicodeDecodeError:
            raise malformed() from None
    return request_id
