"""Inference: replicas that serve versions over the Open Inference Protocol."""

import os

# ONNX Runtime's own builds report usage to their maker and keep a database of it in the home folder. It
# reads this once, when it is first imported; whoever wants the reports sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
