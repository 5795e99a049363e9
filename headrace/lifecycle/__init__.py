"""The life of a model around serving: data, evaluation, optimisation, explanation, batches, retraining.

All of it runs in the process of whoever calls it, asks served versions as every client does, and keeps what
it finds in the registry. Extra: `headrace[lifecycle]`.
"""
