"""OpenAI's chat completions as a client speaks them: the request read, the answer written, streamed or whole."""
