"""OpenAI's published schemas, as validators.

The file is `openai-subset.json` in the folder `schemas` beside the recordings. It says two things in the way of
OpenAPI, which JSON Schema does not know, so they are rewritten: `nullable`, and a `discriminator`, by which a value
that looks like two of the alternatives is one of them.
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
    rewritten = _rewritten(document)
    assert isinstance(rewritten, dict)
    return rewritten


def _rewritten(node: object) -> object:
    if isinstance(node, list):
        return [_rewritten(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    rewritten = {name: _rewritten(inner) for name, inner in node.items() if name != "nullable"}
    if "discriminator" in rewritten and "oneOf" in rewritten:
        rewritten["anyOf"] = rewritten.pop("oneOf")
    return {"anyOf": [rewritten, {"type": "null"}]} if node.get("nullable") is True else rewritten


@cache
def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """The validator of one of the document's schemas. Skips the test, or fails it in CI, without the file."""
    need_recordings()
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": _document()["components"]}
    )
