"""Asks as LlamaIndex and instructor do: llama_index_client.py URL MODEL EMBEDDER; prints JSON."""

import json
import sys

import instructor
import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

url, model, embedder = sys.argv[1:]
where = {"api_base": f"{url}/v1", "api_key": "none", "is_chat_model": True, "max_retries": 0}
llm = OpenAILike(model=model, max_tokens=5, temperature=0, context_window=128, **where)
roomy = OpenAILike(
    model=model, max_tokens=60, context_window=128, is_function_calling_model=True, **where
)
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
asked = [{"role": "user", "content": "Who are you?"}]


class Look(BaseModel):
    """Look at a number."""

    n: int = Field(ge=0, le=99)


def look(n: int) -> int:
    """Look at a number."""
    return n


def plain():
    """The text."""
    return llm.chat([ChatMessage(role="user", content="Who are you?")]).message.content


def stream():
    """The same in pieces."""
    pieces = llm.stream_chat([ChatMessage(role="user", content="Who are you?")])
    return "".join(piece.delta or "" for piece in pieces)


def tools():
    """The call that has to be made."""
    answer = roomy.chat_with_tools(
        [FunctionTool.from_defaults(look)], user_msg="Who are you?", tool_required=True
    )
    return [call.tool_name for call in roomy.get_tool_calls_from_response(answer)]


def schema():
    """What instructor makes of calls, of schemas and of JSON."""
    modes = (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA)
    made = [
        instructor.from_openai(client, mode=mode).chat.completions.create(
            model=model, messages=asked, response_model=Look, max_retries=0
        )
        for mode in modes
    ]
    return [type(one).__name__ for one in made]


def errors():
    """What a refusal is."""
    try:
        OpenAILike(model="none", **where).chat([ChatMessage(role="user", content="x")])
    except openai.NotFoundError as error:
        return error.code
    return ""


def embeddings():
    """Vectors of texts, by the older official client."""
    made = client.embeddings.create(model=embedder, input=["the river", "the mill"])
    return len(made.data)


scenarios = (plain, stream, tools, schema, errors, embeddings)
print(json.dumps({each.__name__: each() for each in scenarios}))
