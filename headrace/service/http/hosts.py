"""Names the states of a connection, and what a connection knows of its server."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

from headrace.security.credentials import PeerCertificate
from headrace.service.http.heads import HeadParser
from headrace.service.http.requests import Application

if TYPE_CHECKING:
    from headrace.service.http.connection import Connection


class State(enum.Enum):
    """Where a connection stands."""

    IDLE = "nothing of a request has come"
    HEAD = "a part of a head has come"
    BODY = "a body is coming"
    ANSWERING = "a request is being answered"
    ENDING = "the last answer was given; what still comes is dropped"


class Host(Protocol):
    """The server, as its connections know it."""

    application: Application
    parser: HeadParser
    connections: set[Connection]
    is_closing: bool
    now: float
    """The loop's time, in seconds, when connections were last looked at."""
    certificate_of_all: PeerCertificate | None
