"""Training with differential privacy (DP-SGD), beside training without."""
