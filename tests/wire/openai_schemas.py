"""OpenAI's published schemas of chat completions, as validators.

The file is `openai-subset.json` in the folder `schemas` beside the recordings. It says `nullable` in the way of
OpenAPI 3.0, which JSON Schema does not know, so that is rewritten.
"""

from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from tests.recordings import folder, need_recordings


@cache
def _document() -> dict[str, Any]:
    path = folder().parent / "schemas" / "openai-subset.json"
    document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    rewritten = _with_null(document)
    assert isinstance(rewritten, dict)
    return rewritten


def _with_null(node: object) -> object:
    if isinstance(node, list):
        return [_with_null(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    rewritten = {name: _with_null(inner) for name, inner in node.items() if name != "nullable"}
    return {"anyOf": [rewritten, {"type": "null"}]} if node.get("nullable") is True else rewritten


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """The validator of one of the document's schemas. Skips the test, or fails it in CI, without the file."""
    need_recordings()
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": _document()["components"]}
    )
