"""The names of reasoning formats that this dialect has to tell apart (`Reasoning.format`)."""

OPENAI_FORMAT = "openai-responses-v1"
"""Thought that OpenAI made: its ciphertext and id are a reasoning item's own."""

GEMINI_FORMAT = "google-gemini-v1"
"""Also the format of a tool call's proof: only Gemini has them."""

SUMMARY_FORMATS = frozenset(
    {OPENAI_FORMAT, GEMINI_FORMAT, "azure-openai-responses-v1", "xai-responses-v1", "anthropic-claude-v1"}
)
"""Formats in which visible text is a summary of thought that stays hidden."""
