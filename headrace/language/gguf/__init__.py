"""GGUF files as onnxruntime-genai's folders: config, weights, tokenizer, chat template."""
