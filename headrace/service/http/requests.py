"""A request as an application sees it, and what the application makes of it."""

from __future__ import annotations

from typing import Protocol

from headrace.errors import HeadraceError
from headrace.security.credentials import PeerCertificate
from headrace.security.identities import Identity
from headrace.service.http.answers import Response
from headrace.service.http.heads import RequestHead
from headrace.service.http.streamed import BodyStream

Body = bytes | bytearray | memoryview


class Answering(Protocol):
    """What a request is answered by: its connection."""

    @property
    def remote(self) -> str:
        """The address of the client."""

    @property
    def certificate(self) -> PeerCertificate | None:
        """The verified certificate of the client, if it showed one."""

    def answer(self, request: Request, response: Response) -> None:
        """Answer a request, once."""

    def begin(self, request: Request, response: Response) -> BodyStream:
        """Answer a request with a body that is yet to be written."""


class Request:
    """A request: its head, and the way back to its client.

    `names` are those in its path; `identity` is that of its caller, once it was admitted; None where
    nobody is asked for one. `id` is what the logs know it by, once a handler runs.
    """

    __slots__ = ("_connection", "head", "id", "identity", "names")

    def __init__(self, head: RequestHead, connection: Answering) -> None:
        self.head = head
        self.id = ""
        self.names: dict[str, str] = {}
        self.identity: Identity | None = None
        self._connection = connection

    @property
    def remote(self) -> str:
        """The address of its client."""
        return self._connection.remote

    @property
    def certificate(self) -> PeerCertificate | None:
        """The verified certificate of its client, if it showed one."""
        return self._connection.certificate

    def respond(self, response: Response) -> None:
        """Answer it, on the event loop; nothing happens where the client has gone."""
        self._connection.answer(self, response)

    def begin(self, response: Response) -> BodyStream:
        """Send the head of an answer, on the event loop, and give what its body is written with.

        The answer ends where `respond` is given the same response, as it is where a handler returns it. Any
        other means that it failed: then the connection is broken off, so that nobody takes it for whole.
        Where the client goes, the exchange is told to leave, as it is before.
        """
        return self._connection.begin(self, response)


class Exchange(Protocol):
    """What an application does about one request. Everything is called on the event loop.

    It hears of the body's parts as they come, then of its end, or of what was wrong; or that its client has
    left, and then nothing more. It answers once: after the body, or before, which ends the connection.
    """

    @property
    def max_body_bytes(self) -> int:
        """The most that the body may have; -1: no body is wanted, and what comes is dropped."""

    def take_part(self, size: int) -> None:
        """So many bytes of the body have come. Raises HeadraceError to refuse them."""

    def take_body(self, body: Body) -> None:
        """All of the body has come."""

    def fail(self, error: HeadraceError) -> None:
        """The body is not what it should be; answer so."""

    def leave(self) -> None:
        """The client has gone."""


class Application(Protocol):
    """What a server serves."""

    def open(self, request: Request) -> Exchange:
        """Begin with a request whose head has come."""

    def refused(self, reason: str) -> None:
        """Hear of what was refused before anybody could tell what it asked for, by its reason."""

    def finish(self, request: Request, response: Response) -> None:
        """Look at an answer that is about to be sent: add what all answers have."""

    def hold_unread(self, size: int) -> None:
        """Clients have so many bytes more of answers to read; less than 0: so many fewer."""

    def too_large(self, max_bytes: int) -> HeadraceError:
        """Return why a body is refused that is larger than it may be."""
