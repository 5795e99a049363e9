"""The monitor: what the models do, over all replicas."""
