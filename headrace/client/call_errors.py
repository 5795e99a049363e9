"""The errors that calls end with where no service of ours said why."""

from __future__ import annotations

from headrace import addresses, errors
from headrace.client.settings import ClientSettings

_HTTP_1 = "http1.x server"
"""What gRPC says of a server that answers its first bytes with HTTP/1.1."""


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
    error: errors.HeadraceError, service: str, address: str, total_seconds: float
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
    if isinstance(error, errors.Unavailable):
        return errors.Unavailable(
            "SERVICE_UNREACHABLE",
            f"the {called} cannot be reached at {address} ({error.message.rpartition(': ')[2]}); "
            + (_past_the_proxy(address) or "`headrace up` starts the suite"),
            facts=facts,
        )
    if isinstance(error, errors.DeadlineExceeded):
        return errors.DeadlineExceeded(
            "DEADLINE_EXCEEDED",
            f"the {called} at {address} did not answer within {total_seconds:.3g} s; allow more with "
            "a longer timeout",
            facts=facts,
        )
    return type(error)(error.reason, f"the {called} at {address}: {error.message}", facts=facts)


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
