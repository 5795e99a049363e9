"""Models of text for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, Unpack

from headrace.client.async_client import AsyncClient
from headrace.client.generation_options import GenerationOptions
from headrace.client.loop_thread import LoopThread
from headrace.client.text_messages import Message, Prompt, Tool
from headrace.client.text_results import (
    Embeddings,
    Generation,
    GenerationPart,
    Ranking,
    Scores,
    Tokens,
)


class BlockingTextCalls:
    """Chat, generate, score, embed and rerank."""

    _async: AsyncClient
    _thread: LoopThread

    def chat(
        self,
        model: str,
        messages: str | Iterable[Message],
        *,
        tools: Iterable[Tool] = (),
        tool_choice: str = "",
        version: int | str = "",
        continue_last: bool = False,
        template_variables: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Generation:
        """Answer a conversation: turns as {"role": ..., "content": ...}, or a user's one as a text.

        `model` may be `name@alias`. The version's chat template makes a prompt of the turns, and with
        `continue_last` goes on with the last one, the assistant's. `tools` are functions in OpenAI's form;
        `tool_choice` says which may be called: auto, none, required, or one by its name. Rules of the route
        look at `headers` and `parameters`. Without `timeout_seconds`, the client's
        `generation_timeout_seconds` hold. A call that finds no server is sent again, perhaps elsewhere.

        Raises InvalidArgument (CHAT_TEMPLATE_MISSING) for a version that nobody can chat with.
        """
        return self._thread.run(
            self._async.chat(
                model,
                messages,
                tools=tools,
                tool_choice=tool_choice,
                version=version,
                continue_last=continue_last,
                template_variables=template_variables,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
                **options,
            )
        )

    def chat_stream(
        self,
        model: str,
        messages: str | Iterable[Message],
        *,
        tools: Iterable[Tool] = (),
        tool_choice: str = "",
        version: int | str = "",
        continue_last: bool = False,
        template_variables: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Generator[GenerationPart, None, None]:
        """The same, piece by piece as it is generated. Closing it ends the generation.

        Only a call of which nothing has come yet is sent again.
        """
        return self._thread.iterate(
            lambda: self._async.chat_stream(
                model,
                messages,
                tools=tools,
                tool_choice=tool_choice,
                version=version,
                continue_last=continue_last,
                template_variables=template_variables,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
                **options,
            )
        )

    def generate(
        self,
        model: str,
        prompt: Prompt,
        *,
        version: int | str = "",
        add_special_tokens: bool = True,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Generation:
        """Go on from a text, which no chat template changes, or from tokens; all else as `chat`."""
        return self._thread.run(
            self._async.generate(
                model,
                prompt,
                version=version,
                add_special_tokens=add_special_tokens,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
                **options,
            )
        )

    def generate_stream(
        self,
        model: str,
        prompt: Prompt,
        *,
        version: int | str = "",
        add_special_tokens: bool = True,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Generator[GenerationPart, None, None]:
        """The same, piece by piece as it is generated. Closing it ends the generation.

        Only a call of which nothing has come yet is sent again.
        """
        return self._thread.iterate(
            lambda: self._async.generate_stream(
                model,
                prompt,
                version=version,
                add_special_tokens=add_special_tokens,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
                **options,
            )
        )

    def score(
        self,
        model: str,
        prompt: Prompt | Iterable[Message],
        continuations: Iterable[Prompt],
        *,
        version: int | str = "",
        top_logprobs: int = 0,
        add_special_tokens: bool = True,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Scores:
        """Tell how probable continuations of a prompt are: each token's log-probability.

        The prompt is a text, tokens or a conversation. Beside each token stand the `top_logprobs` most
        probable ones, at most 1024: from the size of the vocabulary on they are the whole distribution.
        """
        return self._thread.run(
            self._async.score(
                model,
                prompt,
                continuations,
                version=version,
                top_logprobs=top_logprobs,
                add_special_tokens=add_special_tokens,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
            )
        )

    def tokenize(
        self,
        model: str,
        prompt: str | Iterable[Message],
        *,
        version: int | str = "",
        add_special_tokens: bool = True,
        timeout_seconds: float | None = None,
    ) -> Tokens:
        """Make tokens of a text or a conversation, as `generate` and `chat` do."""
        return self._thread.run(
            self._async.tokenize(
                model,
                prompt,
                version=version,
                add_special_tokens=add_special_tokens,
                timeout_seconds=timeout_seconds,
            )
        )

    def detokenize(
        self,
        model: str,
        token_ids: Iterable[int],
        *,
        version: int | str = "",
        skip_special_tokens: bool = False,
        timeout_seconds: float | None = None,
    ) -> str:
        """Make a text of tokens."""
        return self._thread.run(
            self._async.detokenize(
                model,
                token_ids,
                version=version,
                skip_special_tokens=skip_special_tokens,
                timeout_seconds=timeout_seconds,
            )
        )

    def embed(
        self,
        model: str,
        texts: str | Iterable[Prompt],
        *,
        version: int | str = "",
        dimensions: int = 0,
        truncate: bool = False,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Embeddings:
        """Make a vector of each text (or of its tokens): a float32 array with a row for each.

        `dimensions` takes the first so many numbers of each, for versions that were trained for it. Texts
        over the context length are refused, or cut with `truncate`.
        """
        return self._thread.run(
            self._async.embed(
                model,
                texts,
                version=version,
                dimensions=dimensions,
                truncate=truncate,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
            )
        )

    def rerank(
        self,
        model: str,
        query: str,
        documents: Iterable[str],
        *,
        version: int | str = "",
        top_n: int = 0,
        truncate: bool = False,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Ranking:
        """Order documents by how well they answer a query; `top_n` keeps so many of the best.

        Documents over the context length are refused, or cut with `truncate`.
        """
        return self._thread.run(
            self._async.rerank(
                model,
                query,
                documents,
                version=version,
                top_n=top_n,
                truncate=truncate,
                parameters=parameters,
                headers=headers,
                timeout_seconds=timeout_seconds,
            )
        )
