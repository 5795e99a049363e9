"""Embedding and reranking of texts: batches by tokens."""
