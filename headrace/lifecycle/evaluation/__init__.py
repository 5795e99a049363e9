"""Measures how good the answers of a version are: with intervals, by slices, beside another version."""

from headrace.lifecycle.evaluation.comparing import Difference, differences
from headrace.lifecycle.evaluation.cross_validation import (
    CrossValidation,
    FoldResult,
    cross_validated,
)
from headrace.lifecycle.evaluation.data import EvaluationData, read_data
from headrace.lifecycle.evaluation.data_checks import DataChecks, check_data
from headrace.lifecycle.evaluation.evaluating import (
    evaluate,
    evaluate_rows,
    evaluate_version,
    named_version,
)
from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.folds import Split, by_time, folds, holdout
from headrace.lifecycle.evaluation.imbalance import balanced_rows, class_weights, row_weights
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.report import report_files
from headrace.lifecycle.evaluation.rules import Judgement, Rules, check_rules, judge_evaluation
from headrace.lifecycle.evaluation.storing import store
from headrace.lifecycle.evaluation.tasks import Task
from headrace.lifecycle.reports.files import ReportFile

__all__ = [
    "CrossValidation",
    "DataChecks",
    "Difference",
    "Evaluation",
    "EvaluationData",
    "FoldResult",
    "Judgement",
    "Question",
    "ReportFile",
    "Rules",
    "Split",
    "Task",
    "balanced_rows",
    "by_time",
    "check_data",
    "check_rules",
    "class_weights",
    "cross_validated",
    "differences",
    "evaluate",
    "evaluate_rows",
    "evaluate_version",
    "folds",
    "holdout",
    "judge_evaluation",
    "named_version",
    "read_data",
    "report_files",
    "row_weights",
    "store",
]
