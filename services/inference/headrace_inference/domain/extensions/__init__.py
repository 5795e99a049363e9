"""Triton's extensions of the protocol: shared memory, classification, traces, log settings."""
