"""Changes the methods that generated code adds to a server: some go from bytes to bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import grpc

Methods: TypeAlias = "dict[str, grpc.RpcMethodHandler[Any, Any]]"
"""Handlers by the method's name, whatever their messages are."""


def with_methods_changed(
    server: grpc.aio.Server, change: Callable[[Methods], Methods]
) -> grpc.aio.Server:
    """What generated code takes for the server; the methods that it adds are changed on their way."""
    return cast(
        "grpc.aio.Server", _MethodTable(server, change)
    )  # as far as methods are added to it


class _MethodTable:
    """Takes the generated table of methods, changes it, and adds it to the server."""

    def __init__(self, server: grpc.aio.Server, change: Callable[[Methods], Methods]) -> None:
        self._server = server
        self._change = change

    def add_generic_rpc_handlers(self, _: object) -> None:
        """The same table in its other form; one is enough."""

    def add_registered_method_handlers(self, service: str, handlers: Methods) -> None:
        """The table, by method name."""
        table = self._change(handlers)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, table),)
        )
