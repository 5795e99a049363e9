"""What a replica shows to Prometheus: its own families, Triton's and the machine's."""
