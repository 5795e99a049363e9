"""Checks that a request fits a version, and plans its run. Pure: headers in, plan out.

Messages begin as Triton's do, since its clients' users search for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.errors import InvalidArgument
from headrace.state.records import Signature, TensorSpec
from headrace_inference.domain.scheduling.requests import (
    BACKGROUND,
    Options,
    OutputOptions,
    RequestPlan,
    TensorHeader,
)

MAX_ELEMENTS = 2**31
"""No tensor that fits a message has more elements; shapes over it are refused before any arithmetic."""


_UNORDERED = (Datatype.FP16, Datatype.BF16, Datatype.BOOL, Datatype.BYTES)
"""Datatypes that Triton gives no classes of, either."""


def plan_request(
    model: str,
    signature: Signature,
    max_batch_size: int,
    inputs: Sequence[TensorHeader],
    outputs: Sequence[str],
    *,
    allow_larger: bool = False,
) -> RequestPlan:
    """The plan for a request with these headers.

    With `allow_larger` nobody asked for batches: a request of more rows than a batch takes, or of inputs
    that do not have equally many, runs alone.
    Raises InvalidArgument that says what does not fit.
    """
    places = _places(model, signature, inputs)
    given = _given(signature.optional_inputs, places)
    specs = signature.inputs_with(given)
    order = tuple(places[spec.name] for spec in specs)
    chosen = [inputs[place] for place in order]
    required = len(signature.inputs)
    for place, (spec, header) in enumerate(zip(specs, chosen, strict=True)):
        _check_tensor(model, spec, header, batches=max_batch_size > 0 and place < required)
    counts = [header.shape[0] for header in chosen[:required]] if max_batch_size else [1]
    is_batch = counts.count(counts[0]) == len(counts)
    if not is_batch and not allow_larger:
        raise _other_rows(model, chosen[:required])
    rows = max(counts)
    if rows > max(max_batch_size, 1) and not allow_larger:
        raise _too_many_rows(model, rows, max_batch_size)
    dtypes = tuple(_dtype(spec.datatype) for spec in specs)
    shapes = tuple(header.shape for header in chosen)
    joins = max_batch_size and rows and is_batch and not given
    return RequestPlan(
        order=order,
        shapes=shapes,
        dtypes=dtypes,
        sizes=tuple(map(_raw_size, shapes, dtypes)),
        rows=rows,
        batch_key=tuple(shape[1:] for shape in shapes) if joins else None,
        outputs=_outputs(model, signature.outputs, outputs),
        optional=given,
    )


def _dtype(datatype: Datatype) -> np.dtype[np.generic] | None:
    return None if datatype is Datatype.BYTES else NUMPY_DTYPES[datatype]


def _raw_size(shape: tuple[int, ...], dtype: np.dtype[np.generic] | None) -> int | None:
    return None if dtype is None else math.prod(shape) * dtype.itemsize


def _given(optional: Sequence[TensorSpec], places: Mapping[str, int]) -> tuple[int, ...]:
    """The places of the optional inputs that a request brings."""
    return tuple(place for place, spec in enumerate(optional) if spec.name in places)


def _places(model: str, signature: Signature, inputs: Sequence[TensorHeader]) -> dict[str, int]:
    """The place in the request of each input by its name."""
    places: dict[str, int] = {}
    for place, header in enumerate(inputs):
        if header.name in places:
            raise InvalidArgument(
                "INPUT_DUPLICATE", f"input '{header.name}' already exists in request"
            )
        places[header.name] = place
    expected = [spec.name for spec in signature.inputs]
    optional = [spec.name for spec in signature.optional_inputs]
    _refuse_unknown_input(model, [*expected, *optional], places)
    missing = [name for name in expected if name not in places]
    if missing:
        raise InvalidArgument(
            "INPUT_MISSING",
            f"expected {len(expected)} inputs but got {len(inputs)} inputs for model '{model}'. "
            f"Got input(s) {_names(places)}, but missing required input(s) {_names(missing)}",
        )
    return places


def _refuse_unknown_input(model: str, expected: Sequence[str], places: dict[str, int]) -> None:
    for name in places:
        if name not in expected:
            raise InvalidArgument(
                "INPUT_UNKNOWN",
                f"unexpected inference input '{name}' for model '{model}'; "
                f"its inputs are {_names(expected)}",
            )


def _check_tensor(model: str, spec: TensorSpec, header: TensorHeader, *, batches: bool) -> None:
    if header.datatype != spec.datatype:
        raise InvalidArgument(
            "DATATYPE_MISMATCH",
            f"inference input '{spec.name}' data-type is '{header.datatype}', "
            f"but model '{model}' expects '{spec.datatype}'",
        )
    if any(dimension < 0 for dimension in header.shape):
        raise InvalidArgument(
            "SHAPE_NEGATIVE",
            f"All input dimensions should be specified for input '{spec.name}' "
            f"of model '{model}', got {_shape(header.shape)}",
        )
    expected = (-1, *spec.shape[1:]) if batches else spec.shape
    if not spec.unranked and not _fits(header.shape, expected):
        raise InvalidArgument(
            "SHAPE_MISMATCH",
            f"unexpected shape for input '{spec.name}' for model '{model}'. "
            f"Expected {_shape(expected)}, got {_shape(header.shape)}.",
        )
    if math.prod(size or 1 for size in header.shape) > MAX_ELEMENTS:  # numpy minds the others, too
        raise InvalidArgument(
            "SHAPE_TOO_LARGE",
            f"input '{spec.name}' for model '{model}' has shape {_shape(header.shape)}; "
            f"its dimensions that are not 0 may have {MAX_ELEMENTS} elements together",
        )


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        want in (-1, got) for want, got in zip(expected, shape, strict=True)
    )


def _other_rows(model: str, inputs: Sequence[TensorHeader]) -> InvalidArgument:
    rows = inputs[0].shape[0]
    other = next(header for header in inputs if header.shape[0] != rows)
    return InvalidArgument(
        "BATCH_MISMATCH",
        f"input '{other.name}' batch size does not match other inputs for '{model}': "
        f"{other.shape[0]} against {rows}",
    )


def _too_many_rows(model: str, rows: int, max_batch_size: int) -> InvalidArgument:
    return InvalidArgument(
        "BATCH_TOO_LARGE",
        f"inference request batch-size must be <= {max_batch_size} for '{model}', got {rows}; split the "
        "request, or push the version with a larger batching.max_batch_size, or with "
        "batching.allow_larger_requests",
    )


def _outputs(model: str, specs: Sequence[TensorSpec], names: Sequence[str]) -> tuple[int, ...]:
    if not names:
        return tuple(range(len(specs)))
    places = {spec.name: place for place, spec in enumerate(specs)}
    for position, name in enumerate(names):
        if name not in places:
            raise InvalidArgument(
                "OUTPUT_UNKNOWN",
                f"unexpected inference output '{name}' for model '{model}'; "
                f"its outputs are {_names(places)}",
            )
        if name in names[:position]:
            raise InvalidArgument("OUTPUT_DUPLICATE", f"output '{name}' already exists in request")
    return tuple(places[name] for name in names)


def with_options(signature: Signature, plan: RequestPlan, options: Options) -> RequestPlan:
    """The plan, with what else the request asks for. Raises InvalidArgument for what is not possible."""
    output_options = options.output_options or ()
    for place, wanted in zip(plan.outputs, output_options, strict=bool(output_options)):
        _check_output_options(signature.outputs[place], wanted)
    key = plan.batch_key
    if options.priority == BACKGROUND and key is not None:
        key = BACKGROUND, key  # they share no run with those who do not wait behind them
    return replace(
        plan,
        batch_key=key,
        priority=options.priority,
        timeout_us=options.timeout_us,
        output_options=options.output_options,
    )


def _check_output_options(spec: TensorSpec, wanted: OutputOptions) -> None:
    if wanted.classes and wanted.window is not None:
        raise InvalidArgument(
            "CLASSIFICATION_IN_REGION",
            f"output '{spec.name}': output can't set both 'shared_memory_region' and 'classification'",
        )
    if wanted.classes and spec.datatype in _UNORDERED:
        raise InvalidArgument(
            "CLASSIFICATION_DATATYPE",
            f"output '{spec.name}' is {spec.datatype}, which has no classes; classification takes "
            "integers, FP32 and FP64",
        )


def _names(names: Iterable[str]) -> str:
    return "[" + ",".join(f"'{name}'" for name in names) + "]"


def _shape(shape: Sequence[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
