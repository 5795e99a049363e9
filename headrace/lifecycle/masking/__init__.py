"""Masks and coarsens columns of data sets, and says how many rows stay alike."""

from headrace.lifecycle.masking.anonymity import GroupSizes, group_sizes
from headrace.lifecycle.masking.dataset_masks import ColumnCounts, DatasetMasks, dataset_masks

__all__ = ["ColumnCounts", "DatasetMasks", "GroupSizes", "dataset_masks", "group_sizes"]
