"""Envoy's configuration, as pure functions from settings to JSON."""
