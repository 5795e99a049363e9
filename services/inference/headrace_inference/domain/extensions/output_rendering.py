"""Outputs as an answer carries them, where a request wants more than their plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.datatypes import Datatype, to_wire, wire_size
from headrace.errors import InvalidArgument
from headrace_inference.domain.extensions.classification import best_classes
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.requests import Array, RequestPlan, SharedMemorySlice


@dataclass(frozen=True, slots=True)
class RenderedOutput:
    """An output in an answer; `window` is where its values are instead, if not in the answer."""

    name: str
    datatype: Datatype
    array: Array
    window: SharedMemorySlice | None = None


def check_windows(plan: RequestPlan, regions: RegionTable) -> None:
    """Refuse a request before it runs whose outputs have no place to go. Raises HeadraceError."""
    for wanted in plan.output_options or ():
        if wanted.window is not None:
            regions.check(wanted.window)


def rendered_outputs(
    served: AnsweringVersion, plan: RequestPlan, outputs: Sequence[Array], regions: RegionTable
) -> list[RenderedOutput]:
    """Render the outputs asked for by their options; those for shared memory are written to it.

    Raises HeadraceError for what turned out to be impossible.
    """
    assert plan.output_options is not None
    record = served.record
    batches = record.config.batching.max_batch_size > 0
    shown = []
    for place, wanted, array in zip(plan.outputs, plan.output_options, outputs, strict=True):
        spec = record.signature.outputs[place]
        datatype = spec.datatype
        if wanted.classes:
            labels = served.labels.get(spec.name, ())
            array = best_classes(spec.name, array, wanted.classes, labels, batches=batches)
            datatype = Datatype.BYTES
        window = None if wanted.window is None else _place(spec.name, array, wanted.window, regions)
        shown.append(RenderedOutput(spec.name, datatype, array, window))
    return shown


def _place(
    name: str, array: Array, window: SharedMemorySlice, regions: RegionTable
) -> SharedMemorySlice:
    """Write an output to its window; the window that it really takes."""
    size = wire_size(array)
    if size > window.byte_size:
        raise InvalidArgument(
            "OUTPUT_OVER_WINDOW",
            f"shared memory size specified with the request for output '{name}' ({window.byte_size} "
            f"bytes) should be at least {size} bytes to hold the results",
        )
    regions.write(window, to_wire(array))
    return SharedMemorySlice(window.region, size, window.offset)
