"""Chooses the front that serves ModelInfer, by what was asked for and what each can do."""

from __future__ import annotations

import logging

from headrace.errors import FailedPrecondition

logger = logging.getLogger(__name__)


def choose_front(
    asked: str, *, native_available: bool, ages: bool = False, secured: bool = False
) -> str:
    """The front that serves ModelInfer, ends connections of a certain age if it `ages` them, and has TLS.

    Raises FailedPrecondition where the one asked for is not there, or cannot do that.
    """
    if asked == "native" and secured:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native has no TLS of its own, and does not serve in plaintext where --tls-cert asks for "
            "TLS; put a gateway in front of it (headrace up --gateway), or use front=grpcio, which "
            "front=auto then takes",
        )
    if asked == "native" and ages:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native cannot end connections by their age (max_connection_age_seconds); use "
            "front=auto, which then takes grpcio, or front=grpcio",
        )
    if asked == "native" and not native_available:
        raise FailedPrecondition(
            "FRONT_UNAVAILABLE",
            "front=native needs the package pygrpc-native, which is not installed or has no build for "
            "this platform; use front=auto or front=grpcio",
        )
    if asked == "auto" and secured and native_available:
        logger.info(
            "the grpcio front serves, since the native one has no TLS; a gateway would spare it"
        )
    can_be_native = native_available and not ages and not secured
    return "native" if can_be_native and asked != "grpcio" else "grpcio"
