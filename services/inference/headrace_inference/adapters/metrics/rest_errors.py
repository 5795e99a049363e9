"""The errors of the REST port by route, as its callers saw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from headrace_inference.adapters.metrics.text import Family, label_text


class RestErrorMeter:
    """Reads what the REST port counts, by verb, route and reason."""

    def __init__(self, counts: Counter[tuple[str, str, str]]) -> None:
        self._counts = counts

    def families(self) -> Iterable[Family]:
        """Yield what it shows now."""
        errors = Family("headrace_inference_rest_errors_total", "counter", "REST errors, by reason")
        for (method, route, reason), count in sorted(self._counts.copy().items()):
            errors.add(count, label_text(method=method, route=route, reason=reason))
        return (errors,)
