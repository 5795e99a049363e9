"""Answers that are not what their method promises, told as RESPONSE_MALFORMED."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.message import DecodeError

from headrace import errors


class _Undecodable:
    """Stands for an answer whose bytes are no message of its type."""


UNDECODABLE = _Undecodable()


class LenientChannel:
    """Makes the calls of a channel for a stub; an answer that cannot be decoded is UNDECODABLE.

    gRPC itself would log a traceback, and hand out None (grpc.aio) or say INTERNAL (grpc).
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.unary_unary = self._lenient("unary_unary")
        self.unary_stream = self._lenient("unary_stream")
        self.stream_unary = self._lenient("stream_unary")
        self.stream_stream = self._lenient("stream_stream")

    def _lenient(self, kind: str) -> Callable[..., Any]:
        make: Callable[..., Any] = getattr(self._channel, kind)

        def made(method: str, *, response_deserializer: Callable[[bytes], Any], **rest: Any) -> Any:
            return make(method, response_deserializer=_decoded_by(response_deserializer), **rest)

        return made


def _decoded_by(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return UNDECODABLE

    return decoded


def malformed(what: str) -> errors.DataLoss:
    """The error for an answer with which this is wrong."""
    return errors.DataLoss("RESPONSE_MALFORMED", f"the server's answer is not whole: {what}")


@contextmanager
def reading_an_answer() -> Iterator[None]:
    """While inside, what a decoded message has that its type does not allow is RESPONSE_MALFORMED.

    Names of other shapes, unknown datatypes and states, times out of range. Also a decorator.
    """
    try:
        yield
    except (ValueError, LookupError, ArithmeticError, errors.InvalidArgument) as error:
        raise malformed(str(error) or type(error).__name__) from error
