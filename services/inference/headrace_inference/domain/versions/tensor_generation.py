"""Requests of Triton's form to a generative version: tensors as a generation, and its text as tensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headrace.errors import HeadraceError, InvalidArgument
from headrace.language import triton_form
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.generation.model import GenerativeModel, TextCodec
from headrace_inference.domain.generation.options import request_options
from headrace_inference.domain.generation.requests import (
    GeneratedChunk,
    GenerationCall,
    GenerationRequest,
    TokenScore,
    Usage,
)
from headrace_inference.domain.scheduling.batching import assemble
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    InferenceRequest,
    PartialResult,
    StreamEnd,
)
from headrace_inference.domain.versions.responder import Responder
from headrace_inference.domain.versions.stream_executor import stream_required
from headrace_inference.domain.versions.tensor_call import TensorCall
from headrace_inference.domain.versions.vllm_options import VLLM_NAMES, vllm_options

_SIGNATURE = triton_form.GENERATION_SIGNATURE
_INPUTS = (*_SIGNATURE.inputs, *_SIGNATURE.optional_inputs)
_OUTPUTS = [spec.name for spec in _SIGNATURE.outputs]
_ASKED_BY = {output: name for name, output in triton_form.RETURNED_BY.items()}
_SCORED = (triton_form.CUMULATIVE_LOGPROB, triton_form.LOGPROBS)
_GOES_ON = "None"
"""The finish reason of a choice that has not ended."""


class TensorGeneration(TensorCall, GenerationCall):
    """The generation of one request in tensors."""

    __slots__ = ("_asked",)

    def __init__(
        self, asked: InferenceRequest, request: GenerationRequest, sink: TensorGenerationSink
    ) -> None:
        self._asked = asked
        super().__init__(
            request, sink, asked.route, asked.received_ns, asked.deadline_ns, asked.asked
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The values of a request's tensors."""

    prompt: str
    stream: bool
    exclude_input: bool
    outputs: tuple[int, ...]
    """The places of the outputs that are given, in the order asked for."""
    options: Mapping[str, object]

    def has(self, *names: str) -> bool:
        """Tell whether any of these outputs is wanted."""
        return any(_OUTPUTS.index(name) in self.outputs for name in names)


def generation_call(
    model: GenerativeModel, responder: Responder, clock: Clock, request: InferenceRequest
) -> TensorGeneration:
    """The generation that a request asks for. Raises HeadraceError where it is not one."""
    wanted = _read(request)
    if wanted.stream and not request.sink.takes_parts:
        raise stream_required(responder.model)
    # Whoever writes a whole prompt writes its turns, too.
    tokens = model.codec.encode(wanted.prompt, add_special_tokens=True, parse_special=True)
    options = request_options(model, wanted.options, len(tokens), VLLM_NAMES)
    logprobs = options.logprobs
    if logprobs is None and wanted.has(*_SCORED):
        logprobs = 0
    request.plan = replace(request.plan, outputs=wanted.outputs)
    sink = TensorGenerationSink(request, responder, clock, model.codec, wanted, options.choices)
    generation = GenerationRequest(
        prompt=tokens,
        stop=options.stop,
        sampling=options.sampling,
        choices=options.choices,
        logprobs=logprobs,
        skip_special_tokens=options.skip_special_tokens,
        priority=request.plan.priority,
        timeout_us=request.plan.timeout_us,
    )
    sink.call = TensorGeneration(request, generation, sink)
    return sink.call


def _read(request: InferenceRequest) -> _Wanted:
    """The values of its tensors. Raises InvalidArgument."""
    values = {
        spec.name: array.reshape(-1)[0]
        for spec, array in zip(_INPUTS, assemble([request]), strict=False)
        if array is not None
    }
    stream = bool(values.get(triton_form.STREAM, False))
    exclude = bool(values.get(triton_form.EXCLUDE_INPUT, stream))
    if stream and not exclude:
        raise InvalidArgument(
            "PARAMETER_INVALID",
            f"'{triton_form.EXCLUDE_INPUT}' cannot be false where '{triton_form.STREAM}' is true: a "
            "streamed answer has no place for the prompt",
            facts={"parameter": triton_form.EXCLUDE_INPUT},
        )
    sampling = values.get(triton_form.SAMPLING_PARAMETERS)
    if sampling is None:
        options = vllm_options(request.plan.parameters or {}, is_all=False)
    else:
        options = vllm_options(_json_object(str(sampling)), is_all=True)
    flags = {name for name in values if values[name]}
    return _Wanted(
        str(values[triton_form.TEXT_INPUT]), stream, exclude, _outputs(request, flags), options
    )


def _outputs(request: InferenceRequest, flags: set[str]) -> tuple[int, ...]:
    """Those that it names; where it names none, the text and what its flags ask for."""
    named = request.plan.outputs
    if len(named) < len(_OUTPUTS):
        return named
    return tuple(place for place in named if _ASKED_BY.get(_OUTPUTS[place], "") in ("", *flags))


def _json_object(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_object(str(error)) from None
    if not isinstance(found, dict):
        raise _no_object(f"it is {type(found).__name__}")
    return found


def _no_object(why: str) -> HeadraceError:
    return InvalidArgument(
        "PARAMETER_INVALID",
        f"'{triton_form.SAMPLING_PARAMETERS}' must be a JSON object of options, such as "
        f'{{"max_tokens": 16}}: {why}',
        facts={"parameter": triton_form.SAMPLING_PARAMETERS},
    )


class _Choice:
    """The state of one choice: what is new since the last response, and how it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = 0
        self.scores: list[TokenScore] = []
        self.cumulative = 0.0
        self.finish = _GOES_ON

    def take(self, chunk: GeneratedChunk) -> None:
        self.text += chunk.text
        self.tokens += len(chunk.tokens)
        self.scores += chunk.scores
        self.cumulative += sum([score.logprob for score in chunk.scores])
        if chunk.finish is not None:
            self.finish = chunk.finish.value

    def clear(self) -> None:
        self.text, self.tokens, self.scores = "", 0, []


class TensorGenerationSink:
    """Answers a request with what is generated: by a response a piece, or by one of all."""

    is_full = False
    """What a caller does not read is bounded by its stream, in responses."""

    def __init__(
        self,
        request: InferenceRequest,
        responder: Responder,
        clock: Clock,
        codec: TextCodec,
        wanted: _Wanted,
        choices: int,
    ) -> None:
        self._request = request
        self._responder = responder
        self._now_ns = clock.monotonic_ns
        self._codec = codec
        self._wanted = wanted
        self._places = frozenset(wanted.outputs)
        self._choices = [
            _Choice("" if wanted.exclude_input else wanted.prompt) for _ in range(choices)
        ]
        self._is_done = False
        self.call: GenerationCall | None = None

    def prompt_scored(self, scores: Sequence[TokenScore]) -> None:
        """There is no place for them."""

    def deliver(self, chunks: Sequence[GeneratedChunk]) -> None:
        """Send what is new, where its caller wants it piece by piece."""
        for chunk in chunks:
            self._choices[chunk.choice].take(chunk)
        is_news = any(chunk.text or chunk.finish is not None or chunk.scores for chunk in chunks)
        if not self._wanted.stream or not is_news or self._is_done:
            return
        part = PartialResult([self._request], self._arrays(), (0, 1), self._times())
        try:
            goes_on = self._responder.respond_partly(part)
        except Exception as error:  # noqa: BLE001  # it is this request's alone, not the engine's
            self._fail(error_of(self._responder.model, error))
            goes_on = False
        if not goes_on:
            self._request.cancelled = True
        for choice in self._choices:
            choice.clear()

    def ended(self, usage: Usage) -> None:  # noqa: ARG002  # the outputs have it, where it is wanted
        """Send the end, or the whole."""
        if self._is_done:
            return
        self._is_done = True
        if self._wanted.stream:
            self._responder.respond(StreamEnd([self._request], (), (0, 1), self._times()))
        else:
            self._responder.respond(
                BatchResult([self._request], self._arrays(), (0, 1), self._times())
            )

    def failed(self, error: HeadraceError, usage: Usage) -> None:  # noqa: ARG002  # as above
        """Tell the error."""
        self._fail(error)

    def _fail(self, error: HeadraceError) -> None:
        if not self._is_done:
            self._is_done = True
            self._request.fail(error)

    def _times(self) -> tuple[int, int, int]:
        began = self.call.started_ns if self.call is not None else 0
        return began, began, self._now_ns()

    def _arrays(self) -> list[Array]:
        """Those outputs that are wanted, in the places of the signature."""
        return [
            make(self) if place in self._places else _NOTHING for place, make in enumerate(_MAKERS)
        ]

    def texts(self) -> Array:
        """The new text of each choice."""
        return _texts([choice.text for choice in self._choices])

    def finish_reasons(self) -> Array:
        """The reason of each choice to end, "None" while it goes on."""
        return _texts([choice.finish for choice in self._choices])

    def cumulative_logprobs(self) -> Array:
        """The log-probability of each choice so far."""
        return np.array([choice.cumulative for choice in self._choices], np.float32)

    def logprobs(self) -> Array:
        """The scores of each choice's new tokens."""
        return _texts([self._logprobs(choice) for choice in self._choices])

    def input_tokens(self) -> Array:
        """The tokens of the prompt."""
        return np.array([len(self.call.request.prompt) if self.call else 0], np.uint32)

    def output_tokens(self) -> Array:
        """The new tokens of each choice."""
        return np.array([choice.tokens for choice in self._choices], np.uint32)

    def _logprobs(self, choice: _Choice) -> str:
        """As vLLM has them: for each token, an object by token id."""
        return json.dumps([self._of_token(score) for score in choice.scores])

    def _of_token(self, score: TokenScore) -> dict[str, object]:
        pairs = dict(score.top) | {score.token: score.logprob}
        ranks = {token: rank for rank, (token, _) in enumerate(score.top, start=1)}
        return {
            str(token): {
                "logprob": logprob,
                "rank": ranks.get(token),
                "decoded_token": self._codec.decode([token], skip_special_tokens=False),
            }
            for token, logprob in pairs.items()
        }


def _texts(texts: Sequence[str]) -> Array:
    array: Array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array


_NOTHING: Array = np.empty(0)
_MAKERS: tuple[Callable[[TensorGenerationSink], Array], ...] = (
    TensorGenerationSink.texts,
    TensorGenerationSink.finish_reasons,
    TensorGenerationSink.cumulative_logprobs,
    TensorGenerationSink.logprobs,
    TensorGenerationSink.input_tokens,
    TensorGenerationSink.output_tokens,
)
"""What makes each output, in the order of the signature."""
