"""Anthropic's Messages API as a client speaks it: the request read, the answer written, streamed or whole."""
