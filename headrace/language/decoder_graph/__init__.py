"""Writes a llama-like decoder as an ONNX graph in onnxruntime-genai's layout."""

from headrace.language.decoder_graph.decoder_shape import DecoderShape
from headrace.language.decoder_graph.genai_layout import TextFacts, write_genai_config
from headrace.language.decoder_graph.rope import Rope, llama3_divisors
from headrace.language.decoder_graph.weights import DecoderWeights, FloatArray
from headrace.language.decoder_graph.writing import Progress, write_decoder
from headrace.language.weight_format import WeightFormat

__all__ = [
    "DecoderShape",
    "DecoderWeights",
    "FloatArray",
    "Progress",
    "Rope",
    "TextFacts",
    "WeightFormat",
    "llama3_divisors",
    "write_decoder",
    "write_genai_config",
]
