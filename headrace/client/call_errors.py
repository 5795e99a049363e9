"""The errors that calls end with where no service of ours said why."""

from __future__ import annotations

from headrace import addresses, errors
from headrace.client.settings import ClientSettings

_HTTP_1 = "http1.x server"
"""What gRPC says of a server that answers its first bytes with HTTP/1.1."""

_TLS_PROBLEMS = {
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not from an authority that is trusted here, or has "
    "expired; --tls-ca names the authorities",
    "Hostname Verification Check failed": "its certificate has another name than this address; call it by "
    "a name that its certificate has, or give that as HEADRACE_TLS_NAME",
    "WRONG_VERSION_NUMBER": "it does not speak TLS there; leave out grpcs:// and --tls-ca, or say grpc:// "
    "for this address",
}
"""What gRPC says of a handshake that failed, and what that means."""

_CLOSED = "Socket closed"


def after(before: errors.HeadraceError | None, error: errors.HeadraceError) -> errors.HeadraceError:
    """The error that a call ends with; where only the time was over, with what it met before that."""
    if before is None or not isinstance(error, errors.DeadlineExceeded):
        return error
    text = f"{error.message}; before that, {before.message}"
    return errors.DeadlineExceeded(error.reason, text, facts=error.facts)


def ended(service: str, address: str) -> errors.Unavailable:
    """The error for a stream without an end that ended."""
    return errors.Unavailable("STREAM_ENDED", f"the {service} at {address} ended the stream")


def silent(service: str, address: str) -> errors.Unavailable:
    """The error for a server that takes calls and answers none."""
    called = "replica" if service == "inference" else service
    return errors.Unavailable(
        "SERVICE_SILENT",
        f"the {called} at {address} took a call and answers nothing, not even whether it lives; "
        "look at that process: it hangs, is stopped, or its network is gone",
        facts={"service": service, "address": address},
    )


def without_reason(
    error: errors.HeadraceError,
    service: str,
    address: str,
    total_seconds: float,
    *,
    over_tls: bool = False,
) -> errors.HeadraceError:
    """An error that no service of ours gave a reason, as one that says where and what to do."""
    facts = {"service": service, "address": address}
    called = "replica" if service == "inference" else service
    if _HTTP_1 in error.message:
        return errors.FailedPrecondition(
            "PORT_NOT_GRPC",
            f"{address} answers HTTP/1.1: that is a port of REST or metrics; give the {called}'s gRPC "
            f"port ({_usual_port(service)} by default)",
            facts=facts,
        )
    if problem := _tls_problem(error.message):
        return errors.FailedPrecondition(
            "TLS_FAILED", f"the {called} at {address} is not called: {problem}", facts=facts
        )
    if isinstance(error, errors.Unavailable):
        return errors.Unavailable(
            "SERVICE_UNREACHABLE",
            f"the {called} cannot be reached at {address} ({error.message.rpartition(': ')[2]}); "
            + (
                _closed(error.message, over_tls=over_tls)
                or _past_the_proxy(address)
                or "`headrace up` starts the suite"
            ),
            facts=facts,
        )
    if isinstance(error, errors.DeadlineExceeded):
        return errors.DeadlineExceeded(
            "DEADLINE_EXCEEDED",
            f"the {called} at {address} did not answer within {total_seconds:.3g} s; allow more with "
            "a longer timeout",
            facts=facts,
        )
    if isinstance(error, errors.Unimplemented):
        return errors.Unimplemented(
            error.reason,
            f"the {called} at {address} does not know this call ({error.message}): it is older than this "
            f"client (`pip install --upgrade headrace` there), or no {called}",
            facts=facts,
        )
    return type(error)(error.reason, f"the {called} at {address}: {error.message}", facts=facts)


def _tls_problem(message: str) -> str:
    """Return what is wrong between us and a server over TLS, and what to do; '' for another thing."""
    return next((text for sign, text in _TLS_PROBLEMS.items() if sign in message), "")


def _closed(message: str, *, over_tls: bool) -> str:
    """Return what it may mean that a server ended the connection at once; '' where it did not."""
    if not message.endswith(_CLOSED):
        return ""
    if over_tls:
        return "if it asks for certificates of clients, show one: --tls-cert and --tls-key"
    return "if it speaks TLS, say so: grpcs://HOST:PORT, or its authority's certificate as --tls-ca"


def _usual_port(service: str) -> str:
    return ClientSettings().addresses()[service][0].rpartition(":")[2]


def _past_the_proxy(address: str) -> str:
    proxy = addresses.proxy_in_the_way(address)
    host, _ = addresses.split(address)
    return (
        f"the environment sends this call to a proxy ({proxy}): no_proxy={host} avoids it"
        if proxy
        else ""
    )
