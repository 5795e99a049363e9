"""Profiles by version, slice and time: summed over replicas, kept, asked for."""
