"""The replicas that report: their sessions, their clocks, how many may, and what is missing."""
