"""Has a version answer the rows of a table: which columns it gets, and which outputs it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation.answers import Output
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import impossible
from headrace.lifecycle.predictors import Predictor
from headrace.lifecycle.predictors.predictor import Array
from headrace.lifecycle.tables import Fitting, Rows, fit
from headrace.state.records import Signature, TensorSpec

_ROWS_AT_A_TIME = 4096
"""As many are inputs at once: what they take is forgotten when they are answered."""
_MOST_COLUMNS = 4096


def fitting_of(signature: Signature, rows: Rows, question: Question) -> Fitting:
    """The columns of each input. The target is none; columns to slice by are, where they fit.

    Raises InvalidArgument (ROWS_INVALID), which names what is missing.
    """
    never = {*question.target, *question.ignored} | ({question.group_by} - {""})
    columns = tuple(rows.columns)
    named = {spec.name for spec in (*signature.inputs, *signature.optional_inputs)}
    never -= named - {*question.target, *question.ignored}
    try:
        return fit(signature, columns, without=never, chosen=question.inputs)
    except InvalidArgument:
        without = never | set(question.slice_by)
        if without == never:
            raise
        return fit(signature, columns, without=without, chosen=question.inputs)


async def answered(
    predictor: Predictor,
    rows: Rows,
    fitting: Fitting,
    labels: Mapping[str, Sequence[str]],
    on_rows: Callable[[int], None] = lambda _: None,
) -> list[Output]:
    """The outputs of all rows that can say something of a row. Raises HeadraceError."""
    pieces: list[Mapping[str, Array]] = []
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        some = rows.take(slice(start, start + _ROWS_AT_A_TIME))
        answer = await predictor.predict(fitting.tensors(some))
        pieces.append({name: of for name, of in answer.items() if of.ndim <= 2})
        on_rows(len(some))
    names = [spec.name for spec in predictor.signature.outputs if spec.name in pieces[0]]
    if not names:
        raise impossible("no output has one value, or one row of values, for each row")
    return [_output(name, pieces, labels) for name in names]


def outputs_to_ask(signature: Signature, chosen: str) -> tuple[str, ...]:
    """The outputs that can say something of a row: neither images nor the like are sent for nothing."""
    known = {spec.name for spec in signature.outputs}
    name = chosen if chosen in known else chosen.partition("[")[0]
    if chosen:
        if name not in known:
            listed = ", ".join(repr(each.name) for each in signature.outputs)
            raise impossible(f"the version has no output {chosen!r}; it has {listed}")
        return (name,)
    return tuple(spec.name for spec in signature.outputs if _is_small(spec))


def _is_small(spec: TensorSpec) -> bool:
    return spec.unranked or (len(spec.shape) <= 2 and all(n <= _MOST_COLUMNS for n in spec.shape))


def _output(
    name: str, pieces: Sequence[Mapping[str, Array]], labels: Mapping[str, Sequence[str]]
) -> Output:
    import numpy as np

    try:
        rows = np.concatenate([piece[name] for piece in pieces])
    except ValueError as error:
        raise impossible(f"output {name!r} has another width in other rows") from error
    return Output(name, rows, tuple(labels.get(name, ())))
