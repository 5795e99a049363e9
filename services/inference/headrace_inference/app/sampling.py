"""Sets up which rows are sampled, and who looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from headrace.data_profiles.shown_values import ValuesTold
from headrace_inference.adapters.example_reports import ExampleReports
from headrace_inference.adapters.prediction_reports import PredictionReports
from headrace_inference.adapters.profile_reports import ProfileReports
from headrace_inference.adapters.sampling_thread import looking_at_rows
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.adapters.telemetry import TelemetryBuffer
from headrace_inference.domain.sampling.prediction_outputs import outputs_by_model
from headrace_inference.domain.sampling.row_examples import RowExamples
from headrace_inference.domain.sampling.row_profiles import RowProfiles
from headrace_inference.domain.sampling.rows import RowConsumer
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.sampling.slices import Slicing, slicings
from headrace_inference.domain.sampling.version_layouts import References
from headrace_inference.domain.sampling.version_sampler import SamplingRules, no_bound
from headrace_inference.settings import Settings


@contextmanager
def open_sampling(
    settings: Settings,
    reports: TelemetryBuffer | None,
    references: References | None = None,
    by_id: Sequence[RowConsumer] = (),
    by: Sequence[Slicing] | None = None,
) -> Iterator[Sampler]:
    """Yield the sampler, whose thread runs while inside. Rows are profiled where a monitor is to be told.

    Rows are told apart `by` these, else as the settings say. `by_id` take the rows of the share of requests
    that are chosen by their ids.
    """
    by_budget: list[RowConsumer] = []
    after_tick: list[Callable[[], None]] = []
    at_end: list[Callable[[], None]] = []
    answers: PredictionReports | None = None
    of_examples: list[RowConsumer] = []
    id_rows = no_bound
    if reports is not None:
        profiles = RowProfiles(references)
        telling = ProfileReports(profiles, SYSTEM_CLOCK, reports.add_profiles)
        by_budget.append(profiles)
        after_tick.append(telling.report_if_due)
        at_end.append(telling.report)
        if settings.label_share and settings.profile_rows:
            examples = RowExamples(references, ValuesTold(settings.profile_values))
            showing = ExampleReports(examples, SYSTEM_CLOCK, reports.add_examples)
            of_examples.append(examples)
            after_tick.append(showing.report_if_due)
            at_end.append(showing.report)
        if settings.label_share and settings.prediction_rate:
            answers = PredictionReports(
                SYSTEM_CLOCK,
                settings.label_share,
                settings.prediction_rate,
                outputs_by_model(settings.prediction_outputs),
            )
            reports.predictions = answers.told
            if not by_id:  # nobody else looks at more of them
                id_rows = answers.room
            by_id = (*by_id, answers)
    by = slicings(settings.slice_by) if by is None else by
    rules = SamplingRules(by, settings.label_share, id_rows)
    sampler = Sampler(SYSTEM_CLOCK, settings.profile_rows, rules, by_budget, by_id, of_examples)
    if answers is not None:
        answers.dropped_before = lambda: sampler.dropped_by_id
    with looking_at_rows(sampler, after_tick, at_end):
        yield sampler
