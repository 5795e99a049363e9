"""Asks as LangChain does: langchain_client.py URL MODEL EMBEDDER; prints what came as JSON."""

import json
import sys

from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from openai import BadRequestError
from pydantic import BaseModel, Field

url, model, embedder = sys.argv[1:]
where = {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}
chat = ChatOpenAI(model=model, temperature=0, max_tokens=5, **where)
roomy = ChatOpenAI(model=model, temperature=0, max_tokens=60, **where)


class Look(BaseModel):
    """Look at a number."""

    n: int = Field(ge=0, le=99)


def plain():
    """The text, and the tokens."""
    answer = chat.invoke("Who are you?")
    return [answer.content, answer.usage_metadata["output_tokens"]]


def stream():
    """The same in pieces."""
    pieces = list(chat.stream("Who are you?", stream_usage=True))
    return ["".join(piece.content for piece in pieces), sum(
        piece.usage_metadata["output_tokens"] for piece in pieces if piece.usage_metadata
    )]  # fmt: skip


def tools():
    """The call that has to be made, whole and streamed."""
    bound = roomy.bind_tools([Look], tool_choice="any")
    whole = bound.invoke("Who are you?")
    joined = None
    for piece in bound.stream("Who are you?"):
        joined = piece if joined is None else joined + piece
    return [[call["name"] for call in answer.tool_calls] for answer in (whole, joined)]


def schema():
    """JSON that is held to a schema."""
    return isinstance(
        roomy.with_structured_output(Look, method="json_schema").invoke("Who are you?"), Look
    )


def completion():
    """A prompt without a template."""
    made = OpenAI(model=model, temperature=0, max_tokens=4, **where).invoke("The river")
    return isinstance(made, str)


def errors():
    """What a refusal is."""
    try:
        ChatOpenAI(model=model, temperature=7, **where).invoke("hi")
    except BadRequestError as error:
        return error.code
    return ""


def embeddings():
    """Vectors of texts: by default it sends tokens of another vocabulary."""
    made = OpenAIEmbeddings(model=embedder, check_embedding_ctx_length=False, **where)
    return len(made.embed_documents(["the river", "the mill"]))


scenarios = (plain, stream, tools, schema, completion, errors, embeddings)
print(json.dumps({each.__name__: each() for each in scenarios}))
