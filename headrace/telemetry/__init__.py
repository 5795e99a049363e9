"""Telemetry as replicas and the monitor count it: measures, histograms, and which requests are sampled."""
