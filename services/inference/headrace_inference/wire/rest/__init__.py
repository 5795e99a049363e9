"""The Open Inference Protocol over HTTP: one module for each kind of request."""
