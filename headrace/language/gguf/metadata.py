"""Reads single facts of a GGUF file's metadata, each of the type that it has to have."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.language.gguf.byte_reader import Value
from headrace.language.gguf.refusals import invalid


class Metadata:
    """Metadata, of which the keys of a family begin with its architecture's name."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.architecture = self.text("general.architecture")

    def of_family(self, key: str) -> str:
        """A key of the architecture's own."""
        return f"{self.architecture}.{key}"

    def has(self, key: str) -> bool:
        """Tell whether the key is there."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """A string. Raises InvalidArgument where it is missing without a default, or no string."""
        found = self._values.get(key, default)
        if not isinstance(found, str):
            raise invalid(f"{key} is {_said(found)}, and has to be a text")
        return found

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 0."""
        found = self._values.get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise invalid(f"{key} is {_said(found)}, and has to be a whole number")
        return found

    def optional_whole(self, key: str) -> int | None:
        """A whole number, or None where it is missing."""
        return self.whole(key) if self.has(key) else None

    def number(self, key: str, default: float | None = None) -> float:
        """A positive number."""
        found = self._values.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < 1e30:
            raise invalid(f"{key} is {_said(found)}, and has to be a positive number")
        return float(found)

    def flag(self, key: str, *, default: bool) -> bool:
        """A truth value."""
        found = self._values.get(key, default)
        if not isinstance(found, bool):
            raise invalid(f"{key} is {_said(found)}, and has to be true or false")
        return found

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        found = self._values.get(key)
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise invalid(f"{key} is {_said(found)}, and has to be a list of texts")
        return [str(each) for each in found]

    def numbers(self, key: str) -> list[float]:
        """A list of numbers."""
        found = self._values.get(key)
        if not isinstance(found, list) or not all(isinstance(each, int | float) for each in found):
            raise invalid(f"{key} is {_said(found)}, and has to be a list of numbers")
        return [float(each) for each in found]


def _said(found: object) -> str:
    if found is None:
        return "missing"
    return f"a list of {len(found)}" if isinstance(found, list) else repr(found)[:60]
