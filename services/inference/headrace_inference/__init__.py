"""Inference: replicas that serve versions over the Open Inference Protocol."""
