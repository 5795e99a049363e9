"""A replica's Prometheus metrics: its own families, Triton's and the machine's."""
