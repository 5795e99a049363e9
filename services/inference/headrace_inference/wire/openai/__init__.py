"""OpenAI's API, as its clients speak it: chats, completions, models, tokens."""
