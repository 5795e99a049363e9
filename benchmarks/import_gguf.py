"""Time and memory that importing a GGUF file takes, in each form of weights.

python -m benchmarks.import_gguf              # a file of Llama 3.2 1B's shape, made of random numbers
python -m benchmarks.import_gguf model.gguf
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

from headrace.language.decoder_graph import WeightFormat
from headrace.language.gguf.importing import import_gguf

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, TOKENS = 16, 2048, 8192, 32, 8, 128_256
KEPT = GGMLQuantizationType.Q8_0


def write_random(path: Path) -> None:
    """Write a file of Llama 3.2 1B's shape; 256 random rows are repeated, as nothing depends on them."""
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(131_072)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(500_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(["t", "1", *(f"t{number}" for number in range(1, TOKENS - 1))])
    writer.add_token_types([TokenType.NORMAL] * TOKENS)
    writer.add_token_merges(["t 1"])
    writer.add_eos_token_id(0)
    _add_tensors(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tensors(writer: GGUFWriter) -> None:
    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        some = quantize((random.standard_normal((256, columns)) / 50).astype(np.float32), KEPT)
        writer.add_tensor(name, np.tile(some, (-(-rows // 256), 1))[:rows], raw_dtype=KEPT)

    ones = np.ones(HIDDEN, np.float32)
    matrix("token_embd.weight", TOKENS, HIDDEN)
    writer.add_tensor("output_norm.weight", ones)
    kv = HIDDEN // HEADS * KV_HEADS
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", ones)
        for name, rows in (("attn_q", HIDDEN), ("attn_k", kv), ("attn_v", kv)):
            matrix(f"blk.{layer}.{name}.weight", rows, HIDDEN)
        matrix(f"blk.{layer}.attn_output.weight", HIDDEN, HIDDEN)
        for name, rows, columns in (
            ("ffn_gate", INNER, HIDDEN),
            ("ffn_up", INNER, HIDDEN),
            ("ffn_down", HIDDEN, INNER),
        ):
            matrix(f"blk.{layer}.{name}.weight", rows, columns)


def measure(path: Path, weights: WeightFormat) -> None:
    """Import once, in a process of its own, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        size = import_gguf(path, Path(folder), weights).size_bytes
        seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{weights:<6} {seconds:7.1f} s {size / 1e6:9.0f} MB {peak / 1e6:9.0f} MB", flush=True)


def main() -> None:
    """Measure each form."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.gguf"
        spawning = multiprocessing.get_context("spawn")
        if sys.argv[1:]:
            path = Path(sys.argv[1])
        else:
            writing = spawning.Process(target=write_random, args=(path,))
            writing.start()
            writing.join()
        print(
            f"{path.name}: {path.stat().st_size / 1e6:.0f} MB\nweights   time   written  peak resident"
        )
        for weights in WeightFormat:
            one = spawning.Process(target=measure, args=(path, weights))
            one.start()
            one.join()


if __name__ == "__main__":
    main()
