"""Sets up which rows are sampled, and who looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from headrace_inference.adapters.sampling_thread import looking_at_rows
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.sampling.rows import RowConsumer
from headrace_inference.domain.sampling.sampler import Sampler
from headrace_inference.domain.sampling.slices import slicings
from headrace_inference.domain.sampling.version_sampler import SamplingRules
from headrace_inference.settings import Settings


@contextmanager
def open_sampling(
    settings: Settings, by_budget: Sequence[RowConsumer] = (), by_id: Sequence[RowConsumer] = ()
) -> Iterator[Sampler]:
    """Yield the sampler, whose thread runs while inside: consumers of rows by the budget, and by ids."""
    rules = SamplingRules(slicings(settings.slice_by), settings.label_share)
    sampler = Sampler(SYSTEM_CLOCK, settings.profile_rows, rules, by_budget, by_id)
    with looking_at_rows(sampler):
        yield sampler
