"""The gateway: one address for replicas, registry and monitor, served by an Envoy that it runs."""
