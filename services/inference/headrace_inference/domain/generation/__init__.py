"""Generation of text: sequences that decode together, step by step."""
