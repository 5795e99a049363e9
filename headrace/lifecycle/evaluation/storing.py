"""Keeps an evaluation with its version: its metrics, and its report with the plots."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace.client import AsyncClient
from headrace.lifecycle.evaluation.evaluation import PRIMARY, Evaluation
from headrace.lifecycle.evaluation.tasks import Task
from headrace.lifecycle.reports.files import ReportFile
from headrace.state.annotation_records import Metric

MOST_METRICS = 60
"""Of one evaluation: what is said of a version has 64 KiB in all. The report has every one."""
_OF_SLICES = ("accuracy", "f1_macro", "roc_auc", "rmse", "mae", "exact_match", "logprob")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_FOLDER = 100


async def store(
    client: AsyncClient, evaluation: Evaluation, files: Iterable[ReportFile] = ()
) -> tuple[str, ...]:
    """Keep the metrics and these files with the version; gives the paths of the files.

    Metrics and files of an earlier evaluation of data with the same digest, or name, are replaced. Raises
    NotFound, ResourceExhausted (ANNOTATIONS_TOO_LARGE).
    """
    model, version = evaluation.model, evaluation.version
    metrics = stored_metrics(evaluation.task, evaluation.metrics)
    await client.annotate(model, version, metrics=metrics)
    folder = folder_of(evaluation.data_name)
    paths = []
    for file in files:
        path = f"{folder}/{file.name}"
        await client.attach(model, version, path, file.data, media_type=file.media_type)
        paths.append(path)
    return tuple(paths)


def stored_metrics(task: Task, metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics that are kept: those of all classes, then of slices, then of single classes."""
    main, metrics = [PRIMARY[task], *_OF_SLICES], tuple(metrics)
    whole = [each for each in metrics if not each.slice and "." not in each.name]
    slices = [
        each for each in metrics if each.slice and any(each.name.startswith(name) for name in main)
    ]
    classes = [each for each in metrics if not each.slice and "." in each.name]
    return [*whole, *slices, *classes][:MOST_METRICS]


def folder_of(data_name: str) -> str:
    """Where the files of an evaluation lie: `evaluation/` and the name of the data, as a path takes it."""
    plain = _PLAIN.sub("-", data_name).strip(".-")[:_LONGEST_FOLDER] or "data"
    return f"evaluation/{plain}"
