"""The client of the suite for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from headrace.client.alert_resources import Alert, AlertRules, ObjectiveStatus, RuleChange, Silence
from headrace.client.async_client import AsyncClient
from headrace.client.drift_resources import Drift
from headrace.client.inference import IndexEntry
from headrace.client.loop_thread import LoopThread
from headrace.client.profile_resources import DataProfiles
from headrace.client.quality_resources import Label, LabelCounts, QualityAnswer
from headrace.client.resources import Statistics
from headrace.client.results import InferResult, Parameter
from headrace.client.settings import ClientSettings
from headrace.client.sync_access import BlockingAccessCalls
from headrace.client.sync_registry import BlockingRegistryCalls
from headrace.client.sync_text import BlockingTextCalls

if TYPE_CHECKING:  # numpy is loaded by the first inference
    from headrace.client.binding import Inputs
    from headrace.client.tensors import ModelMetadata
    from headrace.lifecycle.explanation import Baseline, Effort, Explanation, PlannedCost


class Client(BlockingRegistryCalls, BlockingAccessCalls, BlockingTextCalls):
    """Push, route, infer and watch: `with Client() as client`. Threads may share one.

    So may a process and those that it forks, as long as none was connected before: see `forking`.

    Arguments, errors and what each method promises are those of `AsyncClient`. Leaving the block, or
    `close`, ends the connections and the thread behind them.
    """

    def __init__(
        self,
        *,
        registry: str | None = None,
        inference: str | None = None,
        monitor: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
        timeout_seconds: float | None = None,
        tls_ca: str | Path | None = None,
        tls_cert: str | Path | None = None,
        tls_key: str | Path | None = None,
        token_file: str | Path | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self._async = AsyncClient(
            registry=registry,
            inference=inference,
            monitor=monitor,
            actor=actor,
            reason=reason,
            timeout_seconds=timeout_seconds,
            tls_ca=tls_ca,
            tls_cert=tls_cert,
            tls_key=tls_key,
            token_file=token_file,
            settings=settings,
        )
        self._thread = LoopThread()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def because(self, reason: str) -> Self:
        """The same client, over the same connections, whose changes have this reason in the change log.

        Closing one closes both. Raises ValueError for a reason that is too long, or of several lines.
        """
        other = copy.copy(self)
        other._async = self._async.because(reason)  # noqa: SLF001  # of its own class
        return other

    def close(self) -> None:
        """End the connections and the thread; calls still running end as cancelled."""
        if not self._thread.closed:
            self._thread.run(self._async.close())
            self._thread.close()

    def infer(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | str = "",
        outputs: Iterable[str] = (),
        classes: Mapping[str, int] | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> InferResult:
        """Run a model on `inputs`; `model` may be `name@alias`, `version` a number or an alias.

        `inputs` are values by name, or the value itself where the model has one input: arrays, lists, or
        columns of a table. They become the datatypes that the model takes where that is safe: integers if
        they stay the same, floats of 64 bits rounded to fewer; `notes` of the result say what was cast.
        The answer maps outputs to arrays: `result["label"]`, with text as str. Without `outputs` and
        `classes`, all come back; of an output in `classes` come so many best classes instead, as texts
        `value:index` or, where the model has labels, `value:index:label`. A request that finds no server,
        or one that hangs, is sent again within its deadline, to another where there are several: a model
        may run it twice.

        `headers` go with the request as metadata, for sticky keys and match rules of the route.

        Raises InputTypeError, which is an InvalidArgument and a TypeError, for values of another type than
        the model takes.
        """
        return self._thread.run(
            self._async.infer(
                model,
                inputs,
                version=version,
                outputs=outputs,
                classes=classes,
                parameters=parameters,
                headers=headers,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def model_metadata(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> ModelMetadata:
        """Return a served version's inputs and outputs. Raises NotFound, Unavailable."""
        return self._thread.run(
            self._async.model_metadata(model, version, timeout_seconds=timeout_seconds)
        )

    def server_live(self, *, timeout_seconds: float | None = None) -> bool:
        """Return whether the replica answers at all."""
        return self._thread.run(self._async.server_live(timeout_seconds=timeout_seconds))

    def server_ready(self, *, timeout_seconds: float | None = None) -> bool:
        """Return whether the replica serves what it should."""
        return self._thread.run(self._async.server_ready(timeout_seconds=timeout_seconds))

    def model_ready(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> bool:
        """Return whether the replica serves a version. Raises NotFound."""
        return self._thread.run(
            self._async.model_ready(model, version, timeout_seconds=timeout_seconds)
        )

    def repository_index(self, *, timeout_seconds: float | None = None) -> list[IndexEntry]:
        """The versions that the replica has, had, or tried to have."""
        return self._thread.run(self._async.repository_index(timeout_seconds=timeout_seconds))

    def explain(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | str = "",
        output: str = "",
        column: int | str | None = None,
        log_odds: bool = False,
        methods: Sequence[str] = (),
        baseline: str | Baseline | Mapping[str, Any] = "",
        sample: Mapping[str, Any] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        image: str = "",
        patch: int = 0,
        text: str = "",
        replacement: str = "",
        effort: Effort | None = None,
        on_cost: Callable[[PlannedCost], None] | None = None,
        on_rows: Callable[[int], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Explanation:
        """Tell how much each feature of one row adds to its answer, by asking for rows without it.

        Without `output` and `column` (a number, or the label of a class), the predicted class is explained,
        or the only value; with `log_odds` the log-odds of a probability. `methods`: occlusion,
        leave-one-in, integrated-gradients, shapley, kernel-shap, or "all"; without any, those that are
        cheap here. Features that are not there are those of the `baseline`: "zeros", "mean" or "sample" (of
        `sample`, rows of inputs), "reference" (of the version), of an image "mean" and "blur", or rows. By
        default the reference, the sample's mean, or zeros. `names` are features' names by input, `groups`
        features that count as one. The input `image` is cut into patches of so many pixels, the input
        `text` into words. `on_cost` is told what will be asked before it is, `on_rows` of rows that were
        answered; `effort` bounds it. `timeout_seconds` is that of each request.

        Raises InvalidArgument (EXPLANATION_INVALID, EXPLANATION_TOO_LARGE), FailedPrecondition
        (ANSWER_NOT_FINITE, MASKED_ROWS_REFUSED, LIFECYCLE_EXTRA_MISSING), and as `infer` does.
        """
        return self._thread.run(
            self._async.explain(
                model,
                inputs,
                version=version,
                output=output,
                column=column,
                log_odds=log_odds,
                methods=methods,
                baseline=baseline,
                sample=sample,
                names=names,
                groups=groups,
                image=image,
                patch=patch,
                text=text,
                replacement=replacement,
                effort=effort,
                on_cost=on_cost,
                on_rows=on_rows,
                timeout_seconds=timeout_seconds,
            )
        )

    def explain_answer(
        self,
        model: str,
        prompt: str,
        answer: str,
        *,
        version: int | str = "",
        methods: Sequence[str] = (),
        replacement: str = "",
        effort: Effort | None = None,
        on_cost: Callable[[PlannedCost], None] | None = None,
        on_rows: Callable[[int], None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Explanation:
        """Tell how much each word of a prompt adds to the log-probability of an answer to it.

        Words are left out, or replaced; without `methods`, one at a time. Each coalition of words is a
        request of its own. Raises as `explain` and `score` do.
        """
        return self._thread.run(
            self._async.explain_answer(
                model,
                prompt,
                answer,
                version=version,
                methods=methods,
                replacement=replacement,
                effort=effort,
                on_cost=on_cost,
                on_rows=on_rows,
                timeout_seconds=timeout_seconds,
            )
        )

    def statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        parts_by: Collection[str] = (),
        timeout_seconds: float | None = None,
    ) -> Statistics:
        """Return the statistics of the last `window_seconds`. Raises InvalidArgument if it is too long.

        With `parts_by`, of "reason", "route", "slice" and "caller", also those of parts of the requests.
        """
        return self._thread.run(
            self._async.statistics(
                window_seconds,
                model,
                version,
                by_replica=by_replica,
                parts_by=parts_by,
                timeout_seconds=timeout_seconds,
            )
        )

    def watch_statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        parts_by: Collection[str] = (),
        interval_seconds: float = 1.0,
    ) -> Generator[Statistics, None, None]:
        """The same, again and again, until the reader stops; a watch that breaks is opened again."""
        return self._thread.iterate(
            lambda: self._async.watch_statistics(
                window_seconds,
                model,
                version,
                by_replica=by_replica,
                parts_by=parts_by,
                interval_seconds=interval_seconds,
            )
        )

    def drift(
        self,
        model: str,
        version: int = 0,
        *,
        slice_name: str = "",
        field: str = "",
        distributions: bool = False,
        stretch_seconds: float = 3600.0,
        timeout_seconds: float | None = None,
    ) -> Drift:
        """Return how the fields of a model's versions stand beside their references.

        Effects are those of the newest rows: of 5 minutes (300), an hour or a day (86400). Raises
        InvalidArgument for another stretch.
        """
        return self._thread.run(
            self._async.drift(
                model,
                version,
                slice_name=slice_name,
                field=field,
                distributions=distributions,
                stretch_seconds=stretch_seconds,
                timeout_seconds=timeout_seconds,
            )
        )

    def profiles(
        self,
        model: str,
        version: int,
        *,
        slice_name: str = "",
        window_seconds: float = 3600.0,
        end_at: float = 0.0,
        step_seconds: float = 0.0,
        timeout_seconds: float | None = None,
    ) -> DataProfiles:
        """Return what the rows of a version, or of one slice of it, looked like.

        Of the window before `end_at` (seconds since the epoch; 0: now), in one sum and, with a step of a
        minute at least, in steps. Raises InvalidArgument for a window that is not kept.
        """
        return self._thread.run(
            self._async.profiles(
                model,
                version,
                slice_name=slice_name,
                window_seconds=window_seconds,
                end_at=end_at,
                step_seconds=step_seconds,
                timeout_seconds=timeout_seconds,
            )
        )

    def reset_baseline(
        self,
        model: str,
        version: int,
        *,
        slice_name: str | None = None,
        timeout_seconds: float | None = None,
    ) -> int:
        """Have what rows are compared with learnt anew, from the next ones; return of how many slices.

        All of them and all rows, or the one that is named. Once it was done, doing it again does no harm.
        """
        return self._thread.run(
            self._async.reset_baseline(
                model, version, slice_name=slice_name, timeout_seconds=timeout_seconds
            )
        )

    def alerts(
        self,
        model: str = "",
        *,
        rule: str = "",
        state: Literal["", "pending", "firing", "resolved"] = "",
        severity: Literal["info", "ticket", "page"] = "info",
        limit: int = 1000,
        timeout_seconds: float | None = None,
    ) -> list[Alert]:
        """Alerts that are pending or firing, the worst first; with `resolved` what is over, newest first.

        `severity` is the least. Of models that the caller may read.
        """
        return self._thread.run(
            self._async.alerts(
                model,
                rule=rule,
                state=state,
                severity=severity,
                limit=limit,
                timeout_seconds=timeout_seconds,
            )
        )

    def watch_alerts(self, model: str = "") -> Generator[list[Alert], None, None]:
        """All alerts that are pending or firing, now and after every change, until the reader stops."""
        return self._thread.iterate(lambda: self._async.watch_alerts(model))

    def acknowledge_alert(
        self, alert_id: str, comment: str = "", *, timeout_seconds: float | None = None
    ) -> Alert:
        """Say that somebody looks after an alert. Raises NotFound, PermissionDenied."""
        return self._thread.run(
            self._async.acknowledge_alert(alert_id, comment, timeout_seconds=timeout_seconds)
        )

    def silence_alerts(
        self,
        seconds: float,
        comment: str,
        *,
        model: str = "",
        rule: str = "",
        version: int = 0,
        replica: str = "",
        timeout_seconds: float | None = None,
    ) -> Silence:
        """Have nobody told of some alerts for so long. `model`, `rule` and `replica` are patterns (`*`).

        Raises InvalidArgument (SILENCE_INVALID), ResourceExhausted (TOO_MANY_SILENCES).
        """
        return self._thread.run(
            self._async.silence_alerts(
                seconds,
                comment,
                model=model,
                rule=rule,
                version=version,
                replica=replica,
                timeout_seconds=timeout_seconds,
            )
        )

    def silences(self, *, timeout_seconds: float | None = None) -> list[Silence]:
        """The silences that have not ended, those that end first before others."""
        return self._thread.run(self._async.silences(timeout_seconds=timeout_seconds))

    def end_silence(self, silence_id: str, *, timeout_seconds: float | None = None) -> None:
        """End a silence. Raises NotFound (SILENCE_NOT_FOUND)."""
        self._thread.run(self._async.end_silence(silence_id, timeout_seconds=timeout_seconds))

    def alert_rules(self, *, timeout_seconds: float | None = None) -> AlertRules:
        """The rules in force; for callers who administrate, the receivers and the file, too."""
        return self._thread.run(self._async.alert_rules(timeout_seconds=timeout_seconds))

    def apply_alert_rules(
        self,
        rules: str,
        *,
        dry_run: bool = False,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> RuleChange:
        """Put a file of rules (TOML) in force, or with `dry_run` only say what would change.

        Raises InvalidArgument (ALERT_RULES_INVALID) with all that is wrong, FailedPrecondition, Aborted.
        """
        return self._thread.run(
            self._async.apply_alert_rules(
                rules, dry_run=dry_run, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def test_receiver(self, receiver: str, *, timeout_seconds: float | None = None) -> str:
        """Send a test to a receiver of alerts; returns why it did not take it, '' where it did.

        Raises NotFound (RECEIVER_NOT_FOUND).
        """
        return self._thread.run(
            self._async.test_receiver(receiver, timeout_seconds=timeout_seconds)
        )

    def objectives(
        self, model: str = "", *, timeout_seconds: float | None = None
    ) -> list[ObjectiveStatus]:
        """How the service objectives stand, those with the least budget left first."""
        return self._thread.run(self._async.objectives(model, timeout_seconds=timeout_seconds))

    def record_labels(
        self, model: str, labels: Iterable[Label], *, timeout_seconds: float | None = None
    ) -> LabelCounts:
        """Tell the truth about answers of a model; any number of labels, of which 5,000 are sent at a time.

        A label that was told before counts once, so all may be told again after an error. Raises
        InvalidArgument for one without id, or that is no finite number. The time is that of 5,000.
        """
        return self._thread.run(
            self._async.record_labels(model, labels, timeout_seconds=timeout_seconds)
        )

    def quality(
        self,
        model: str = "",
        version: int = 0,
        *,
        slice_name: str | None = None,
        window_seconds: float = 86400.0,
        step_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> QualityAnswer:
        """Return how good answers of the last `window_seconds` were, by version and slice.

        `slice_name` "" is of all requests together, None of every slice as well. With `step_seconds`, 600
        or more, each stretch of that length is answered apart. Raises InvalidArgument for a window or step
        out of range.
        """
        return self._thread.run(
            self._async.quality(
                model,
                version,
                slice_name=slice_name,
                window_seconds=window_seconds,
                step_seconds=step_seconds,
                timeout_seconds=timeout_seconds,
            )
        )
