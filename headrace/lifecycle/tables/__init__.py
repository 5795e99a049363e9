"""Rows of files and folders, read in pieces however many they are, and fitted to a version's inputs."""

from headrace.lifecycle.tables.fitting import Fitting, fit
from headrace.lifecycle.tables.opening import FORMS, open_table
from headrace.lifecycle.tables.rows import Rows, TableSource, numbers_of, read_all
from headrace.lifecycle.tables.writing import table_written

__all__ = [
    "FORMS",
    "Fitting",
    "Rows",
    "TableSource",
    "fit",
    "numbers_of",
    "open_table",
    "read_all",
    "table_written",
]
