"""What answers rows: a version that is served, or an ONNX Runtime session of this process."""

from headrace.lifecycle.predictors.predictor import Predictor
from headrace.lifecycle.predictors.served import ServedPredictor, served_predictor
from headrace.lifecycle.predictors.session import SessionPredictor

__all__ = ["Predictor", "ServedPredictor", "SessionPredictor", "served_predictor"]
