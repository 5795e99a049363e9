"""Batches: all rows of a table answered by a version, in parts that survive a kill."""

from headrace.lifecycle.batches.plan import BatchPlan, OnError
from headrace.lifecycle.batches.running import BatchProgress, BatchReport, run_batch
from headrace.lifecycle.batches.texts import TextOptions

__all__ = ["BatchPlan", "BatchProgress", "BatchReport", "OnError", "TextOptions", "run_batch"]
