"""Reranks as Cohere's client does: cohere_client.py URL RERANKER; prints what came as JSON."""

import json
import sys

import cohere

url, model = sys.argv[1:]
DOCUMENTS = ["the cat sat on the mat", "a dog ran over the hill", "rivers carry water to the sea"]
asked = {"model": model, "query": "the cat", "documents": DOCUMENTS}


def newer():
    """Its second version: places and scores."""
    answer = cohere.ClientV2(api_key="none", base_url=url).rerank(**asked, top_n=2)
    return [[one.index, one.relevance_score] for one in answer.results]


def older():
    """Its first, which may ask for the documents."""
    client = cohere.Client(api_key="none", base_url=url)
    answer = client.rerank(**asked, top_n=2, return_documents=True)
    return [
        [one.index, one.relevance_score, one.document.text == DOCUMENTS[one.index]]
        for one in answer.results
    ]


def error():
    """What it raises for a model that is not there."""
    try:
        cohere.ClientV2(api_key="none", base_url=url).rerank(**(asked | {"model": "nobody"}))
    except cohere.NotFoundError as raised:
        return raised.status_code
    return None


print(json.dumps({"newer": newer(), "older": older(), "error": error()}))
