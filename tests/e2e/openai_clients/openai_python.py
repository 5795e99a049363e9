"""Asks as the official client in Python does: openai_python.py URL MODEL EMBEDDER; prints JSON."""

import json
import sys

import openai

url, model, embedder = sys.argv[1:]
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
asked = {
    "model": model,
    "messages": [{"role": "user", "content": "Who are you?"}],
    "temperature": 0,
}
number = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99, "minimum": 0}},
          "required": ["n"]}  # fmt: skip
tool = {"type": "function", "function": {"name": "look", "parameters": number}}


def plain():
    """The text, and why it ended."""
    answer = client.chat.completions.create(**asked, max_completion_tokens=5)
    return [answer.choices[0].message.content, answer.choices[0].finish_reason]


def stream():
    """The same in pieces, with the usage."""
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            **asked, max_completion_tokens=5, stream=True, stream_options=options
        )
    )
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    return ["".join(texts), chunks[-1].usage.completion_tokens]


def tools():
    """The call that has to be made."""
    answer = client.chat.completions.create(**asked, tools=[tool], tool_choice="required")
    call = answer.choices[0].message.tool_calls[0]
    return [call.function.name, sorted(json.loads(call.function.arguments))]


def streamed_tools():
    """The same by the helper, which is particular about the deltas of calls."""
    with client.chat.completions.stream(**asked, tools=[tool], tool_choice="required") as events:
        for _ in events:
            pass
        call = events.get_final_completion().choices[0].message.tool_calls[0]
    return [call.function.name, sorted(json.loads(call.function.arguments))]


def schema():
    """JSON that is held to a schema."""
    form = {"type": "json_schema", "json_schema": {"name": "number", "schema": number}}
    answer = client.chat.completions.create(**asked, response_format=form)
    return sorted(json.loads(answer.choices[0].message.content))


def responses():
    """The newer form, by its helper, held to a schema: whole answers alone are complete to it."""
    form = {"format": {"type": "json_schema", "name": "number", "schema": number}}
    with client.responses.stream(model=model, input="Who are you?", text=form) as events:
        for _ in events:
            pass
        answer = events.get_final_response()
    return [answer.status, sorted(json.loads(answer.output_text))]


def errors():
    """What each refusal is to the client."""
    found = []
    for changes in ({"model": "none"}, {"temperature": 7}, {"messages": []}):
        try:
            client.chat.completions.create(**{**asked, **changes})
        except openai.APIStatusError as error:
            known = (type(error).__name__, error.code, error.param, bool(error.request_id))
            found.append(known)
    return found


def embeddings():
    """Vectors in base64, which the client asks for, and as floats."""
    packed = client.embeddings.create(model=embedder, input=["the river", "the mill"])
    floats = client.embeddings.create(
        model=embedder, input=["the river", "the mill"], encoding_format="float"
    )
    pairs = zip(packed.data, floats.data, strict=True)
    return all(
        abs(a - b) < 1e-6
        for one, other in pairs
        for a, b in zip(one.embedding, other.embedding, strict=True)
    )


def models():
    """What can be called."""
    return sorted(each.id for each in client.models.list())


scenarios = (plain, stream, tools, streamed_tools, schema, responses, errors, embeddings, models)
print(json.dumps({each.__name__: each() for each in scenarios}))
