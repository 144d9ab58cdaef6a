"""Gemini's generateContent as a client speaks it: the request read, the answer written, streamed or whole.

    request       the request, in canonical form
    contents      the conversation: turns, parts, calls and their results
    media         pictures, sound and documents
    tools         function declarations and the choice among them
    json_schema   Google's schemas as JSON Schemas
    config        `generationConfig`
    fields        a JSON object in either spelling of its names
    proofs        thoughts of any provider inside `thoughtSignature`
    calls         which call of the API a path means, and in which form it answers
    writer        answers; `candidates`, `grounding`, `usage` and `reasons` are its words
    errors        errors
    count_tokens  `:countTokens`

Field names are those of the REST reference (https://ai.google.dev/api/generate-content), in camel case.
"""
