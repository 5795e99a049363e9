"""Names the routes that a path which leads nowhere was probably meant for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

MAX_NEAR = 3
_MIN_LIKENESS = 0.6
_NAMED = 0.95
"""A name may stand in its place, but a word of ours is likelier meant as itself."""
_MAX_SLIPS = 3
_MAX_SEGMENTS = 8
_MAX_SEGMENT = 64
"""Of a path that is looked at: longer ones are none of ours, and cost time."""


def near_routes(path: str, templates: Iterable[str]) -> list[str]:
    """The templates that a path is most like, best first, with the path's own names in their places."""
    asked, known = _segments(path), [*map(_segments, templates)]
    words = {segment for template in known for segment in template}
    if len(asked) > _MAX_SEGMENTS or max(map(len, asked), default=0) > _MAX_SEGMENT:
        return []
    scored = [
        (_likeness(asked, template), -order, "/" + "/".join(_filled(asked, template, words)))
        for order, template in enumerate(known)
    ]
    best = sorted((entry for entry in scored if entry[0] >= _MIN_LIKENESS), reverse=True)
    return list(dict.fromkeys(route for _, _, route in best))[:MAX_NEAR]


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _likeness(asked: Sequence[str], template: Sequence[str]) -> float:
    """From 0 to 1: the share of segments that are alike, in their order, of the longer of the two."""
    best = [0.0] * (len(template) + 1)  # of the segments so far with each beginning of the template
    for segment in asked:
        before = best
        best = [0.0]
        for place, wanted in enumerate(template):
            both = before[place] + _alike(segment, wanted)
            best.append(max(both, before[place + 1], best[place]))
    return best[-1] / max(len(asked), len(template), 1)


def _alike(segment: str, wanted: str) -> float:
    if wanted.startswith("{"):
        return _NAMED
    if segment == wanted:
        return 1.0
    if segment[:1] != wanted[:1] or abs(len(segment) - len(wanted)) > _MAX_SLIPS:
        return 0.0
    likeness = SequenceMatcher(None, segment, wanted, autojunk=False).ratio()
    return likeness if likeness > _MIN_LIKENESS else 0.0


def _filled(asked: Sequence[str], template: Sequence[str], words: set[str]) -> Iterator[str]:
    """The template with the path's names in the places of names, but for words of ours."""
    for place, segment in enumerate(template):
        named = segment.startswith("{") and place < len(asked) and asked[place] not in words
        yield asked[place] if named else segment
