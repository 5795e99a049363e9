"""The answer of a model, as a mapping from outputs to arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace.client.arrays import Array

Parameter = bool | int | float | str
ROUTE_PARAMETER = "headrace.route"
FLAGGED_PARAMETER = "headrace.flagged"


@dataclass(frozen=True, slots=True, eq=False)
class InferResult(Mapping[str, "Array"]):
    """An answer: `result["label"]` is an output, an array; text comes as `str`.

    `outputs` has them as they came: read-only arrays, text as object arrays of `bytes`. Text that is not
    UTF-8 throughout an output stays `bytes` in both. `model_version` gave the answer, `route` says why that
    one, and `notes` what the client did to the inputs.
    """

    model_name: str
    model_version: str
    id: str
    outputs: Mapping[str, Array]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Each says which input was cast, from which dtype to which datatype."""
    _decoded: dict[str, Array] = field(default_factory=dict, init=False, repr=False)

    @property
    def route(self) -> str:
        """Return why this version answered: stable, canary, pinned, ...; '' if the server does not say."""
        return str(self.parameters.get(ROUTE_PARAMETER, ""))

    @property
    def flagged(self) -> str:
        """Return the fields that are flagged since they differ from what was learnt; '' for none."""
        return str(self.parameters.get(FLAGGED_PARAMETER, ""))

    def __getitem__(self, name: str) -> Array:
        """An output by its name, its text as str. Raises KeyError, which names the outputs there are."""
        if name not in self.outputs:
            there = ", ".join(self.outputs)
            raise KeyError(f"{name!r} is not an output of this answer; its outputs are {there}")
        if name not in self._decoded:
            self._decoded[name] = _with_text(self.outputs[name])
        return self._decoded[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an output of this name."""
        return name in self.outputs

    def __iter__(self) -> Iterator[str]:
        """The names of the outputs, in the model's order."""
        return iter(self.outputs)

    def __len__(self) -> int:
        """Return how many outputs there are."""
        return len(self.outputs)

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same object: arrays do not say whether they are equal."""
        return self is other

    def __hash__(self) -> int:
        """By identity, too."""
        return id(self)


def _with_text(array: Array) -> Array:
    if array.dtype != object:
        return array
    import numpy as np

    text: Array = np.empty(array.size, dtype=object)
    try:
        text[:] = [item.decode() for item in array.flat]
    except UnicodeDecodeError:
        return array
    text.flags.writeable = False
    return text.reshape(array.shape)
