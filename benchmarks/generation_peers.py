"""The engines that `generation.py` compares with, each in a process of its own, with its own packages.

    python benchmarks/generation_peers.py SIDE MODEL --threads 2

SIDE is `bare` (ONNX Runtime in a loop, all sequences at once), `genai` (onnxruntime-genai's Generator,
one batch), `genai-engine` (its Engine) or `openvino` (openvino-genai's continuous batching, on a GGUF
file). Reads lines of JSON `{"prompts": [[token ids]], "new_tokens": n}` and answers each with one:
seconds and CPU seconds of all of it, tokens generated, seconds until every sequence had its first token,
and the tokens. Greedy, to the length, past the end token. It needs the side's packages and numpy; nothing
of Headrace.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Prompts = Sequence[Sequence[int]]


class Side(ABC):
    """An engine with a model open."""

    @abstractmethod
    def generate(self, prompts: Prompts, new_tokens: int) -> tuple[list[list[int]], float]:
        """Generate after all prompts; the new tokens of each, and the time of the last first one."""


class BareLoop(Side):
    """A decode loop over ONNX Runtime: no server, no queue, no sampling but argmax.

    Keys and values are written where they are read, in one buffer of all rows; there is a binding for each
    number of rows. Prompts are read one after the other.
    """

    def __init__(self, folder: Path, threads: int, room: int = 512) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        inputs = self._session.get_inputs()
        self._past = [each.name for each in inputs if each.name.startswith("past_key_values")]
        decoder = json.loads((folder / "genai_config.json").read_text())["model"]["decoder"]
        self._heads, self._size = decoder["num_key_value_heads"], decoder["head_size"]
        self._vocabulary = int(self._session.get_outputs()[0].shape[-1])
        self._room = room
        self._caches: list[Any] = []
        self._rows = 0

    def _reserve(self, rows: int) -> None:
        if rows > self._rows:
            shape = (rows, self._heads, self._room, self._size)
            self._caches = [np.zeros(shape, np.float32) for _ in self._past]
            self._rows = rows

    def _bind_caches(self, binding: Any, first: int, rows: int) -> None:
        shape = [rows, self._heads, self._room, self._size]
        for name, cache in zip(self._past, self._caches, strict=True):
            address = cache.ctypes.data + first * cache.strides[0]
            present = re.sub(r"^past_key_values", "present", name)
            binding.bind_input(name, "cpu", 0, np.float32, shape, address)
            binding.bind_output(present, "cpu", 0, np.float32, shape, address)

    def _read(self, row: int, prompt: Sequence[int]) -> int:
        """Read a prompt into a row; its first new token."""
        binding = self._session.io_binding()
        self._bind_caches(binding, row, 1)
        binding.bind_cpu_input("input_ids", np.array([prompt], np.int64))
        binding.bind_cpu_input("attention_mask", np.ones((1, len(prompt)), np.int64))
        binding.bind_output("logits", "cpu")
        self._session.run_with_iobinding(binding)
        return int(binding.get_outputs()[-1].numpy()[0, -1].argmax())

    def generate(self, prompts: Prompts, new_tokens: int) -> tuple[list[list[int]], float]:
        """Read every prompt, then decode all rows together."""
        rows = len(prompts)
        self._reserve(rows)
        tokens = [[self._read(row, prompt)] for row, prompt in enumerate(prompts)]
        first = time.perf_counter()
        lengths = np.array([len(prompt) for prompt in prompts])
        ids = np.zeros((rows, 1), np.int64)
        logits = np.zeros((rows, 1, self._vocabulary), np.float32)
        binding = self._session.io_binding()
        self._bind_caches(binding, 0, rows)
        binding.bind_input("input_ids", "cpu", 0, np.int64, [rows, 1], ids.ctypes.data)
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        for _ in range(new_tokens - 1):
            ids[:, 0] = [each[-1] for each in tokens]
            lengths += 1
            mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
            shape = list(mask.shape)
            binding.bind_input("attention_mask", "cpu", 0, np.int64, shape, mask.ctypes.data)
            self._session.run_with_iobinding(binding)
            for each, token in zip(tokens, logits[:, 0].argmax(-1).tolist(), strict=True):
                each.append(token)
        return tokens, first


class GenaiGenerator(Side):
    """onnxruntime-genai's Generator: one batch, from the first prompt to the last token."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime_genai as genai

        self._genai = genai
        config = genai.Config(str(folder))
        session = {"intra_op_num_threads": threads}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
        self._model = genai.Model(config)

    def generate(self, prompts: Prompts, new_tokens: int) -> tuple[list[list[int]], float]:
        """Generate for all prompts, which have one length, as one batch."""
        (length,) = {len(prompt) for prompt in prompts}
        total = length + new_tokens
        params = self._genai.GeneratorParams(self._model)
        params.set_search_options(
            batch_size=len(prompts), max_length=total, min_length=total, do_sample=False
        )
        generator = self._genai.Generator(self._model, params)
        generator.append_tokens(np.array(prompts, np.int32))
        generator.generate_next_token()
        first = time.perf_counter()
        while not generator.is_done():
            generator.generate_next_token()
        rows = range(len(prompts))
        return [generator.get_sequence(row)[length:].tolist() for row in rows], first


class GenaiEngine(GenaiGenerator):
    """onnxruntime-genai's Engine: requests that come and go; on CPUs it makes static batches."""

    def generate(self, prompts: Prompts, new_tokens: int) -> tuple[list[list[int]], float]:
        """Begin a turn for every prompt, and run the engine until all have ended."""
        engine = self._genai.Engine(self._model)
        events = engine.create_event_buffer(256)
        requests: list[Any] = []
        for prompt in prompts:
            request = engine.create_request()
            options = self._genai.TurnOptions(request)
            options.set_max_generated_tokens(new_tokens)
            options.set_min_generated_tokens(new_tokens)
            options.set_do_sample(False)
            request.begin_turn(np.array(prompt, np.int32), options)
            requests.append(request)
        tokens: list[list[int]] = [[] for _ in prompts]
        first = 0.0
        while engine.has_pending_requests():
            for event in engine.run(events):
                place = next(at for at, each in enumerate(requests) if each is event.request)
                if len(tokens[place]) < new_tokens:
                    tokens[place].append(int(event.token))
            if not first and all(tokens):
                first = time.perf_counter()
        for request in requests:
            request.close()
        return tokens, first


class OpenVino(Side):
    """openvino-genai's continuous batching pipeline, which reads GGUF files by itself."""

    def __init__(self, file: Path, threads: int) -> None:
        import openvino_genai as genai

        self._genai = genai
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = 1
        scheduler.enable_prefix_caching = False
        properties = {"INFERENCE_NUM_THREADS": threads}
        self._pipeline = genai.ContinuousBatchingPipeline(
            str(file), scheduler, "CPU", properties, {}
        )

    def generate(self, prompts: Prompts, new_tokens: int) -> tuple[list[list[int]], float]:
        """Add every prompt, and step until all have ended."""
        import openvino

        config = self._genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = new_tokens
        config.ignore_eos, config.do_sample = True, False
        handles = [
            self._pipeline.add_request(at, openvino.Tensor(np.array([prompt], np.int64)), config)
            for at, prompt in enumerate(prompts)
        ]
        tokens: list[list[int]] = [[] for _ in prompts]
        first = 0.0
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for place, handle in enumerate(handles):
                if handle.can_read():
                    for output in handle.read().values():
                        tokens[place] += output.generated_ids
            if not first and all(tokens):
                first = time.perf_counter()
        return tokens, first


SIDES = {
    "bare": BareLoop,
    "genai": GenaiGenerator,
    "genai-engine": GenaiEngine,
    "openvino": OpenVino,
}


def main() -> None:
    """Answer lines until there are no more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    side = SIDES[arguments.side](arguments.model, arguments.threads)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        tokens, first = side.generate(wanted["prompts"], wanted["new_tokens"])
        answer = {
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu,
            "first_seconds": first - started,
            "generated": sum(map(len, tokens)),
            "tokens": tokens,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
