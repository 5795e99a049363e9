"""Makes versions smaller and faster within an allowed loss, and says what each way costs."""

from headrace.lifecycle.optimisation.choice import Goal
from headrace.lifecycle.optimisation.judging import Allowed
from headrace.lifecycle.optimisation.methods import AUTO, Method
from headrace.lifecycle.optimisation.optimisation import Optimisation, rows_of_table
from headrace.lifecycle.optimisation.optimiser import Wishes, optimise
from headrace.lifecycle.optimisation.report import remarks, write_report

__all__ = [
    "AUTO",
    "Allowed",
    "Goal",
    "Method",
    "Optimisation",
    "Wishes",
    "optimise",
    "remarks",
    "rows_of_table",
    "write_report",
]
