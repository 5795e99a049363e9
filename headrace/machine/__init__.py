"""Reads the cores and the memory that the machine and its control groups grant this process."""
