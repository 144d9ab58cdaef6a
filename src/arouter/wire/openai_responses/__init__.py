"""OpenAI's Responses as a client speaks them: the request read, the answer written, streamed or whole."""
