"""Distributed traces: whose trace a call belongs to, its spans, and their way to a collector over OTLP."""
