"""Makes records of what was taken: with the fields that are allowed, and masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.masking.masks import Action, Masks
from headrace.masking.patterns import has_check_digit
from headrace.payload_log.records import (
    Array,
    Left,
    PayloadRecord,
    TensorPayload,
    Value,
    moment_text,
    plain_values,
)
from headrace_inference.domain.payloads.fields import AllowedFields
from headrace_inference.domain.payloads.taking import TakenPayload, TakenTensor
from headrace_inference.domain.sampling.slices import Slicing
from headrace_inference.domain.sampling.taken_rows import Said, requested
from headrace_inference.domain.scheduling.requests import Parameter

MAX_CHARACTERS = 16_384
"""Of a text in the log; what is behind is cut off, after it was masked."""

MAX_MASKED_BYTES = 2**20
"""Of a text that masks look into: a longer one is left out."""

_LEAST_CARD = 10**11
"""A whole number from here on may be that of a card."""


class RecordMaker:
    """Makes the records of a replica. `make` is called on the thread of the log."""

    def __init__(
        self, fields: AllowedFields, masks: Masks, slicings: Sequence[Slicing], replica: str
    ) -> None:
        self._fields, self._masks = fields, masks
        self._slicings, self._replica = slicings, replica

    def make(self, taken: TakenPayload) -> PayloadRecord:
        """The record of a request."""
        return _Making(self._fields, self._masks, self._slicings).made(taken, self._replica)


class _Making:
    """One record on its way; it collects what is masked."""

    def __init__(self, fields: AllowedFields, masks: Masks, slicings: Sequence[Slicing]) -> None:
        self._fields, self._masks, self._slicings = fields, masks, slicings
        self._masked: dict[str, None] = {}

    def made(self, taken: TakenPayload, replica: str) -> PayloadRecord:
        request = requested(taken.said, self._slicings)
        tensors = [(each.place, self._tensor(each)) for each in taken.tensors]
        prompt, answers = self._generation(taken)
        return PayloadRecord(
            time=moment_text(taken.answered_ns),
            model=taken.record.model,
            version=taken.record.number,
            digest=taken.record.digest,
            route=request.route,
            replica=replica,
            request_id=self._text(request.id, "request_id") or "",
            slices=[self._text(each, "slices") or "" for each in request.slices],
            latency_ms=round(taken.latency_ns / 1e6, 3),
            error=taken.error,
            headers=dict(self._headers(taken.said)),
            parameters=dict(self._parameters(request.parameters)),
            inputs=[tensor for place, tensor in tensors if place == "input"],
            outputs=[tensor for place, tensor in tensors if place == "output"],
            prompt=prompt,
            answers=answers,
            masked=list(self._masked),
        )

    def _generation(self, taken: TakenPayload) -> tuple[str | None, list[str] | None]:
        text = taken.text
        if text is None:
            return None, None
        prompt = self._text(text.decode(text.prompt), "prompt") if self._fields.prompt else None
        if not self._fields.answer:
            return prompt, None
        return prompt, [self._text(answer, "answer") or "" for answer in text.answers]

    def _headers(self, said: Said) -> Iterator[tuple[str, str]]:
        if not self._fields.headers:
            return
        for name, value in said.metadata:
            if name.lower() in self._fields.headers and isinstance(value, str):
                text = self._text(value, f"header:{name.lower()}")
                if text is not None:
                    yield name.lower(), text

    def _parameters(self, given: Mapping[str, Parameter]) -> Iterator[tuple[str, Value]]:
        for name in sorted(self._fields.parameters & given.keys()):
            value = given[name]
            if value is None or (isinstance(value, bool) and not self._rule(f"parameter:{name}")):
                yield name, value
                continue
            text = self._text(str(value), f"parameter:{name}")
            yield name, value if text == str(value) else text

    def _tensor(self, taken: TakenTensor) -> TensorPayload:
        where = f"{taken.place}:{taken.name}"
        shape = [int(size) for size in taken.shape]
        data, left = (
            (None, taken.left) if taken.values is None else self._values(taken.values, where)
        )
        return TensorPayload(taken.name, str(taken.datatype), shape, data, str(left))

    def _values(self, values: Array, where: str) -> tuple[list[Value] | None, str]:
        """The values as they may be written, and what they lack."""
        action = self._rule(where)
        if action is Action.DROP:
            self._masked[where] = None
            return None, Left.DROPPED
        if values.dtype == object:
            return self._texts(values, where)
        plain = plain_values(values)
        if action is not None:
            data: list[Value] = [self._text(str(value), where) for value in plain]
            return data, Left.MASKED
        return self._numbers(plain, where, values.dtype.kind in "iu")

    def _numbers(
        self,
        plain: list[Value],
        where: str,
        are_whole: bool,  # noqa: FBT001
    ) -> tuple[list[Value], str]:
        """Numbers; those of cards are masked, too, where cards are."""
        if not are_whole or not any(rule.name == "card" for rule in self._masks.patterns):
            return plain, ""
        data: list[Value] = [
            self._text(str(value), where) if _may_be_card(value) else value for value in plain
        ]
        return data, Left.MASKED if where in self._masked else ""

    def _texts(self, values: Array, where: str) -> tuple[list[Value] | None, str]:
        data: list[Value] = []
        left = ""
        for value in values.ravel():
            text = _decoded(value)
            if text is None:
                return None, Left.BINARY
            if len(text) > MAX_MASKED_BYTES:
                return None, Left.TOO_LARGE
            masked = self._text(text, where)
            left = left or (
                Left.CUT if masked is not None and len(masked) == MAX_CHARACTERS else ""
            )
            data.append(masked)
        return data, Left.MASKED if where in self._masked else left

    def _text(self, text: str, where: str) -> str | None:
        """A text, masked and then cut; None where it is dropped."""
        if len(text) > MAX_MASKED_BYTES:
            self._masked[where] = None
            return None
        masked, changed = self._masks.apply(text, where)
        if changed:
            self._masked[where] = None
        return masked if masked is None else masked[:MAX_CHARACTERS]

    def _rule(self, where: str) -> Action | None:
        return self._masks.fields.get(where)


def _may_be_card(value: Value) -> bool:
    return isinstance(value, int) and value >= _LEAST_CARD and has_check_digit(str(value))


def _decoded(value: object) -> str | None:
    """A text; None of bytes that are none."""
    if isinstance(value, str):
        return value
    try:
        return bytes(value).decode() if isinstance(value, bytes | memoryview) else str(value)
    except UnicodeDecodeError:
        return None
