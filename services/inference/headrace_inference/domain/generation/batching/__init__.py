"""The engine: decodes sequences together, step by step, within the memory for keys and values."""
