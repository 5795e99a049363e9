"""Finds what answers a request, by its verb and its path, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

Handler = TypeVar("Handler")


@dataclass(frozen=True, slots=True)
class Match(Generic[Handler]):
    """What answers a request: its handler, the template that its path fits, and the names in the path."""

    handler: Handler
    template: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """Nothing answers a request; `allowed` are the verbs that its path takes, if it is known at all."""

    allowed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Node(Generic[Handler]):
    """What paths lead to that begin alike."""

    fixed: dict[str, _Node[Handler]] = field(default_factory=dict)
    named: _Node[Handler] | None = None
    template: str = ""
    handlers: dict[str, Handler] = field(default_factory=dict)


class Router(Generic[Handler]):
    """A tree of path templates such as `/v2/models/{model}`; a fixed segment goes before a name."""

    def __init__(self) -> None:
        self._root: _Node[Handler] = _Node()
        self.templates: list[str] = []
        """In the order in which they were added."""

    def add(self, verb: str, template: str, handler: Handler) -> None:
        """Have requests with this verb, for paths that fit, answered by a handler."""
        node = self._root
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                node.named = node.named or _Node()
                node = node.named
            else:
                node = node.fixed.setdefault(segment, _Node())
        if not node.template:
            node.template = template
            self.templates.append(template)
        node.handlers[verb] = handler

    def routes(self) -> Iterator[tuple[str, str]]:
        """Yield the verb and the template of every route."""
        nodes = [self._root]
        while nodes:
            node = nodes.pop()
            yield from ((verb, node.template) for verb in node.handlers)
            nodes += [*node.fixed.values(), *([node.named] if node.named else [])]

    def find(self, verb: str, path: str) -> Match[Handler] | NoMatch:
        """Find what answers; `path` is as it was sent. HEAD is answered as GET is."""
        if not path.startswith("/"):
            return NoMatch()
        segments = [unquote(segment) for segment in path.split("/")[1:]]
        asked = "GET" if verb == "HEAD" else verb
        allowed: set[str] = set()
        for node in _fitting(self._root, segments):
            handler = node.handlers.get(asked)
            if handler is not None:
                return Match(handler, node.template, _names(node.template, segments))
            allowed.update(node.handlers)
        if "GET" in allowed:
            allowed.add("HEAD")
        return NoMatch(tuple(sorted(allowed)))


def _fitting(node: _Node[Handler], segments: list[str]) -> Iterator[_Node[Handler]]:
    if not segments:
        if node.handlers:
            yield node
        return
    first, rest = segments[0], segments[1:]
    if first in node.fixed:
        yield from _fitting(node.fixed[first], rest)
    if node.named is not None and first:
        yield from _fitting(node.named, rest)


def _names(template: str, segments: list[str]) -> dict[str, str]:
    pairs = zip(template.split("/")[1:], segments, strict=True)
    return {name[1:-1]: segment for name, segment in pairs if name.startswith("{")}
