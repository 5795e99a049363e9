"""Converts what the files of a version of text say to a message and back."""

from __future__ import annotations

from headrace.state.language_records import LanguageFacts, Pooling, VersionKind
from headrace.type.v1 import language_pb2

_POOLINGS = {getattr(language_pb2, f"POOLING_{each.name}"): each for each in Pooling}
_KINDS = {getattr(language_pb2, f"VERSION_KIND_{each.name}"): each for each in VersionKind}


def kind_to_proto(kind: VersionKind) -> str:
    """The kind of a version by its name in the message."""
    return f"VERSION_KIND_{kind.name}"


def kind_from_proto(number: int) -> VersionKind:
    """Return the kind of a version: tensors where a registry is too old to say it, or too new."""
    return _KINDS.get(number, VersionKind.TENSORS)


def language_to_proto(facts: LanguageFacts) -> language_pb2.LanguageModel:
    """The facts as their message."""
    return language_pb2.LanguageModel(
        architecture=facts.architecture,
        context_length=facts.context_length,
        vocabulary_size=facts.vocabulary_size,
        tokenizer_digest=facts.tokenizer_digest,
        kv_bytes_per_token=facts.kv_bytes_per_token,
        chat_template_digest=facts.chat_template_digest,
        capabilities=facts.capabilities,
        weights=facts.weights,
        embedding_size=facts.embedding_size,
        pooling=f"POOLING_{facts.pooling.name}" if facts.pooling else None,
        normalized=facts.normalized,
    )


def language_from_proto(kind: VersionKind, proto: language_pb2.LanguageModel) -> LanguageFacts:
    """The facts of a version of such a kind."""
    return LanguageFacts(
        kind=kind,
        architecture=proto.architecture,
        context_length=proto.context_length,
        vocabulary_size=proto.vocabulary_size,
        tokenizer_digest=proto.tokenizer_digest,
        kv_bytes_per_token=proto.kv_bytes_per_token,
        chat_template_digest=proto.chat_template_digest,
        capabilities=tuple(proto.capabilities),
        weights=proto.weights,
        embedding_size=proto.embedding_size,
        pooling=_POOLINGS.get(proto.pooling),
        normalized=proto.normalized,
    )
