"""Casts inputs to the datatypes that a model takes, where that loses nothing unexpected: pure functions.

Integers become other integers, and floats that hold the same values. Floats become wider ones, and from
float64 narrower ones, rounded: lists and numpy's defaults come so. Nothing overflows, is cut or guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace import datatypes
from headrace.client.arrays import Array
from headrace.client.input_errors import InputTypeError, described
from headrace.client.tensors import TensorMetadata
from headrace.datatypes import Datatype

_ACCEPTED = {"f": "fViu", "V": "fViu", "i": "iu", "u": "iu", "b": "b"}
"""By the kind of a datatype (V is BF16), the kinds of values that may become it."""

_KINDS = {
    "f": "floats",
    "V": "floats",
    "i": "integers",
    "u": "integers",
    "b": "booleans",
    "U": "text",
}


def is_array(value: object) -> bool:
    """Return whether a value has a dtype of its own."""
    return hasattr(value, "__array__")


def cast(value: npt.ArrayLike, spec: TensorMetadata) -> tuple[Array, str]:
    """A value as an array of the input's datatype, and a note where an array's dtype changed, else ''.

    Raises InputTypeError, which names the input, what it takes, and what was given.
    """
    given = _Given(value, spec, _as_array(value, spec))
    if spec.datatype is Datatype.BYTES:
        return given.as_bytes(), ""
    target = datatypes.NUMPY_DTYPES[spec.datatype]
    if given.array.dtype == target:
        return given.array, ""
    note = f"input {spec.name!r} was cast from {given.array.dtype} to {spec.datatype}"
    return given.as_numbers(target), note if is_array(value) else ""


def _as_array(value: npt.ArrayLike, spec: TensorMetadata) -> Array:
    try:
        if spec.datatype is Datatype.BYTES:
            return np.asarray(value, dtype=object)
        array: Array = np.asarray(value)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        target = datatypes.NUMPY_DTYPES[spec.datatype]
        if target.kind in "iu" and array.dtype.kind in "fO" and array.size and not is_array(value):
            return _large_integers(value, array)
    except (ValueError, OverflowError, TypeError, RuntimeError) as error:
        uneven = "inhomogeneous" in str(error)
        why = "its lists are not of the same length" if uneven else str(error)
        raise _unfit(value, None, spec, why) from error
    return array


def _large_integers(value: npt.ArrayLike, array: Array) -> Array:
    """Lists of integers beyond 63 bits as they are: numpy makes floats or objects of them."""
    objects: Array = np.asarray(value, dtype=object)
    if any(type(item) is not int for item in objects.flat):
        return array
    return objects.astype(np.uint64 if min(objects.flat) >= 0 else np.int64)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that was given for an input, and the array that numpy makes of it."""

    value: object
    spec: TensorMetadata
    array: Array

    def as_numbers(self, target: np.dtype[np.generic]) -> Array:
        """The values as `target`."""
        kind = self.array.dtype.kind
        if not self.array.size and not is_array(self.value):
            return self.array.astype(target)
        if kind not in _ACCEPTED[target.kind]:
            advice = "; cast them yourself if that is meant" if kind in "fiub" else ""
            raise self._unfit(f"it holds {self._held()}{advice}")
        if target.kind in "iu":
            self._check_range(target)
            return self.array.astype(target)
        return self._rounded(target) if kind in "fV" else self._exact(target)

    def _held(self) -> str:
        if self.array.dtype != object or not self.array.size:
            return _KINDS.get(self.array.dtype.kind, str(self.array.dtype))
        numbers = (bool, int, float, np.generic)
        odd = [item for item in self.array.flat if not isinstance(item, numbers)]
        return f"values of type {type((odd or [*self.array.flat])[0]).__name__}"

    def _check_range(self, target: np.dtype[np.generic]) -> None:
        limits = np.iinfo(target.str)
        for extreme in (int(self.array.min()), int(self.array.max())) if self.array.size else ():
            if not limits.min <= extreme <= limits.max:
                raise self._unfit(f"{extreme} is not from {limits.min} to {limits.max}")

    def _exact(self, target: np.dtype[np.generic]) -> Array:
        with np.errstate(over="ignore"):
            array: Array = self.array.astype(target)
        wide, limits = array.astype(np.float64), np.iinfo(self.array.dtype)
        # The bound of 64 bits is no float: it is rounded up to what is one too many already.
        end = float(limits.max) + (1 if limits.bits < 64 else 0)
        inside = (wide >= limits.min) & (wide < end)
        exact = inside & (np.where(inside, wide, 0).astype(self.array.dtype) == self.array)
        if not exact.all():
            raise self._unfit(f"{self.spec.datatype} does not hold {self.array[~exact][0]} exactly")
        return array

    def _rounded(self, target: np.dtype[np.generic]) -> Array:
        if self.array.dtype != np.float64 and target.itemsize <= self.array.dtype.itemsize:
            raise self._unfit("its values would be rounded; cast them yourself if that is meant")
        with np.errstate(over="ignore"):
            array: Array = self.array.astype(target)
        over = np.isinf(array) & np.isfinite(self.array)
        if over.any():
            raise self._unfit(f"{self.array[over][0]} is too large for {self.spec.datatype}")
        return array

    def as_bytes(self) -> Array:
        """The values as an object array of bytes."""
        array: Array = np.empty(self.array.size, dtype=object)
        array[:] = [self._element(item) for item in self.array.flat]
        return array.reshape(self.array.shape)

    def _element(self, item: object) -> bytes:
        if isinstance(item, str):
            return item.encode()
        if isinstance(item, bytes):
            return item
        raise self._unfit(f"it holds values of type {type(item).__name__}; give str or bytes")

    def _unfit(self, why: str) -> InputTypeError:
        return _unfit(self.value, self.array, self.spec, why)


def _unfit(value: object, array: Array | None, spec: TensorMetadata, why: str) -> InputTypeError:
    return InputTypeError(
        "INPUT_NOT_CONVERTIBLE",
        f"input {spec.name!r} takes {spec.datatype} {list(spec.shape)}, got {described(value, array)}: "
        f"{why}",
        facts={"input": spec.name},
    )
