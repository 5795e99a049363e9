"""The one table from errors to gRPC and HTTP statuses, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from headrace import errors

DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata that carries a serialised `google.rpc.Status`."""

_TABLE: dict[type[errors.HeadraceError], tuple[grpc.StatusCode, HTTPStatus]] = {
    errors.InvalidArgument: (grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST),
    errors.OutOfRange: (grpc.StatusCode.OUT_OF_RANGE, HTTPStatus.BAD_REQUEST),
    errors.NotFound: (grpc.StatusCode.NOT_FOUND, HTTPStatus.NOT_FOUND),
    errors.AlreadyExists: (grpc.StatusCode.ALREADY_EXISTS, HTTPStatus.CONFLICT),
    errors.FailedPrecondition: (grpc.StatusCode.FAILED_PRECONDITION, HTTPStatus.BAD_REQUEST),
    errors.Aborted: (grpc.StatusCode.ABORTED, HTTPStatus.CONFLICT),
    errors.ResourceExhausted: (grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.TOO_MANY_REQUESTS),
    errors.DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, HTTPStatus.GATEWAY_TIMEOUT),
    errors.Cancelled: (grpc.StatusCode.CANCELLED, HTTPStatus.BAD_REQUEST),
    errors.Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED),
    errors.PermissionDenied: (grpc.StatusCode.PERMISSION_DENIED, HTTPStatus.FORBIDDEN),
    errors.Unimplemented: (grpc.StatusCode.UNIMPLEMENTED, HTTPStatus.NOT_IMPLEMENTED),
    errors.Unavailable: (grpc.StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE),
    errors.DataLoss: (grpc.StatusCode.DATA_LOSS, HTTPStatus.INTERNAL_SERVER_ERROR),
    errors.Internal: (grpc.StatusCode.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR),
}
_BY_CODE = {code: error_type for error_type, (code, _) in _TABLE.items()}


def grpc_code(error: errors.HeadraceError) -> grpc.StatusCode:
    """The gRPC status code that says what `error` says."""
    return _TABLE[type(error)][0]


def grpc_code_number(error: errors.HeadraceError) -> int:
    """The number of that code on the wire."""
    number: int = grpc_code(error).value[0]
    return number


def http_status(error: errors.HeadraceError) -> HTTPStatus:
    """The HTTP status that says what `error` says."""
    return _TABLE[type(error)][1]


def trailing_metadata(error: errors.HeadraceError) -> tuple[tuple[str, bytes], ...]:
    """Return what goes into a failed call's trailers: the `google.rpc.Status` with its details."""
    return ((DETAILS_KEY, _status_proto(error).SerializeToString()),)


def error_from_rpc(rpc_error: grpc.RpcError | grpc.aio.AioRpcError) -> errors.HeadraceError:
    """The error that a service raised, rebuilt from a failed call.

    Statuses with no error of ours (UNKNOWN, from other servers) come back as `Internal`.
    """
    call: Any = rpc_error
    error_type = _BY_CODE.get(call.code(), errors.Internal)
    packed = _packed_status(call.trailing_metadata() or ())
    reason, facts, violations, retry_after = _unpack(packed)
    return error_type(
        reason or call.code().name,
        call.details() or call.code().name,
        facts=facts,
        violations=violations,
        retry_after_seconds=retry_after,
    )


def _status_proto(error: errors.HeadraceError) -> status_pb2.Status:
    proto = status_pb2.Status(code=grpc_code_number(error), message=error.message)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=errors.REASON_DOMAIN, metadata=error.facts
    )
    proto.details.add().Pack(info)
    if error.violations:
        proto.details.add().Pack(_bad_request(error.violations))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        proto.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return proto


def _bad_request(violations: Iterable[errors.FieldViolation]) -> error_details_pb2.BadRequest:
    bad_request = error_details_pb2.BadRequest()
    for violation in violations:
        bad_request.field_violations.add(
            field=violation.field, description=violation.description, reason=""
        )
    return bad_request


def _packed_status(metadata: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    proto = status_pb2.Status()
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, bytes):
            with suppress(DecodeError):  # the code and the message stay, from wherever it came
                proto.ParseFromString(value)
    return proto


def _unpack(
    proto: status_pb2.Status,
) -> tuple[str, dict[str, str], tuple[errors.FieldViolation, ...], float | None]:
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after: float | None = None
    for detail in proto.details:
        with suppress(DecodeError):
            detail.Unpack(info)
            detail.Unpack(bad_request)
            if detail.Unpack(retry):
                retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    violations = tuple(
        errors.FieldViolation(violation.field, violation.description)
        for violation in bad_request.field_violations
    )
    return info.reason, dict(info.metadata), violations, retry_after
