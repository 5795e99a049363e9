"""Reading messages field by field, over defaults, so that all that is wrong is reported at once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from headrace import errors
from headrace.type.v1 import serving_config_pb2

Choice = TypeVar("Choice", bound=enum.StrEnum)

MAX_VIOLATIONS = 20
"""An error travels in a trailer, which clients take up to 8 KiB of."""


class Reader:
    """Reads the fields that a message sets, over defaults, and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.violations: list[errors.FieldViolation] = []

    def number(
        self, message: Message, name: str, default: int, allowed: tuple[int, int], path: str
    ) -> int:
        """A field that lies between two bounds, both allowed."""
        if not message.HasField(name):
            return default
        return self.in_range(getattr(message, name), allowed, f"{path}.{name}")

    def real(
        self,
        message: Message,
        name: str,
        default: float | None,
        allowed: tuple[float, float],
        path: str,
    ) -> float | None:
        """A field that lies between two bounds, both allowed, and may have a fraction; never NaN."""
        if not message.HasField(name):
            return default
        value: float = getattr(message, name)
        low, high = allowed
        if not low <= value <= high:
            self.wrong(f"{path}.{name}", f"{value:g} is not between {low:g} and {high:g}")
        return value

    def flag(self, message: Message, name: str, *, default: bool) -> bool:
        """A field that is true or false."""
        return getattr(message, name) if message.HasField(name) else default

    def microseconds(self, message: Message, name: str, default: int, most: int, path: str) -> int:
        """A duration of up to `most` microseconds."""
        if not message.HasField(name):
            return default
        value = getattr(message, name).ToMicroseconds()
        return self.in_range(value, (0, most), f"{path}.{name}", " microseconds")

    def choice(
        self, message: Message, name: str, default: Choice, values: Mapping[int, Choice], path: str
    ) -> Choice:
        """One of a closed set."""
        number = getattr(message, name)
        if number and number not in values:
            self.wrong(f"{path}.{name}", f"{number} must be one of {', '.join(values.values())}")
        return values.get(number, default)

    def unknown_fields(self, message: Message, path: str) -> None:
        """Note the fields that are not known here, below the message, too: a newer caller set them."""
        unknown = UnknownFieldSet(message)
        for place in range(len(unknown)):
            number = unknown[place].field_number
            self.wrong(path, f"field {number} is not known here: update this service")
        for field, value in message.ListFields():
            below = f"{path}.{field.name}"
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                parts = [value[key] for key in value]
            else:
                parts = value if field.is_repeated else [value]
            for part in parts:
                if isinstance(part, Message):
                    self.unknown_fields(part, below)

    def wrong(self, field: str, description: str) -> None:
        """Note what is wrong with a field."""
        self.violations.append(errors.FieldViolation(field, description))

    def raise_if_wrong(self) -> None:
        """Raise InvalidArgument (SERVING_CONFIG_INVALID) if anything was wrong."""
        if self.violations:
            first = tuple(self.violations[:MAX_VIOLATIONS])
            listed = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in first)
            raise errors.InvalidArgument(
                "SERVING_CONFIG_INVALID",
                f"the serving config is out of its ranges: {listed}",
                violations=first,
            )

    def in_range(self, value: int, allowed: tuple[int, int], field: str, unit: str = "") -> int:
        """The value, noted as wrong where it is not between the bounds."""
        low, high = allowed
        if not low <= value <= high:
            self.wrong(field, f"{value}{unit} is not between {low} and {high}{unit}")
        return value


def enum_values(prefix: str, choices: type[Choice]) -> dict[int, Choice]:
    """The choices by their numbers in the proto enum whose values have this prefix."""
    return {getattr(serving_config_pb2, prefix + choice.name): choice for choice in choices}
