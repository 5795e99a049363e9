"""Measures how good the answers of a version are: with intervals, by slices, beside another version."""

from headrace.lifecycle.evaluation.data import EvaluationData, read_data
from headrace.lifecycle.evaluation.data_checks import DataChecks, check_data
from headrace.lifecycle.evaluation.evaluating import (
    evaluate,
    evaluate_rows,
    evaluate_version,
    named_version,
)
from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import Task

__all__ = [
    "DataChecks",
    "Evaluation",
    "EvaluationData",
    "Question",
    "Task",
    "check_data",
    "evaluate",
    "evaluate_rows",
    "evaluate_version",
    "named_version",
    "read_data",
]
