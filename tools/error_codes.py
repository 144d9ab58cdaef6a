"""The error codes, collected from the source, and the page's tables of them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from arouter.domain import errors
from arouter.domain.errors import ARouterError
from arouter.web.errors import status_and_type
from arouter.web.inference.body import ClientLeft
from tools.markdown import code, table

SOURCE = Path(__file__).resolve().parent.parent / "src" / "arouter"

STATED = {"method_not_allowed": 405}
"""Codes whose status is not that of their class."""

UNSEEN = frozenset({"client_disconnect"})
"""Codes that are written to the ledger only: nobody is there to get them."""

MEANINGS = {
    "already_a_member": "The organization has a member with this address.",
    "client_disconnect": "The client left before its request was whole. Seen in the activity only.",
    "credit_not_found": "The organization has no entry of credits with this id.",
    "credit_limit_exceeded": "A budget has not so much left as the request may cost. `metadata`: `scope`, `guardrail`, "
    "`limit_usd`, `used_usd`, `held_usd`, `needed_usd`, `resets_at`.",
    "records_expired": "The summary needs records of days that have expired; the message names the first day that is "
    "still whole.",
    "endpoint_not_supported": "The provider of the model has nothing like this path: ask for a model of one that has.",
    "extra_not_installed": "What was asked for needs libraries that are not installed with the gateway; the message "
    "says which extra has them.",
    "expired_api_key": "The key's `expires_at` has passed.",
    "expired_user_token": "The signed user token has ended. The application makes a new one.",
    "idempotency_conflict": "An entry with this `reference` or `Idempotency-Key` is there and says something else. "
    "`metadata.id` names it; nothing was added.",
    "insufficient_credits": "The organization's credits have not so much left as the request may cost. `metadata`: "
    "`scope`, `balance_usd`, `held_usd`, `needed_usd`. Add some, see credits.md.",
    "guardrail_not_found": "The organization has no guardrail with this id.",
    "header_fields_too_large": "The request line and header fields are over 64 kB. The connection is closed.",
    "internal_error": "A defect of the gateway. The log has the details under the request's id.",
    "invalid_api_key": "No such key, or a disabled one.",
    "invalid_json": "The body is not a JSON object in UTF-8.",
    "invalid_multipart": "The body is not a form, or is one that can be read in two ways.",
    "invalid_parameter": "A parameter of the management or activity API has a value that it cannot have.",
    "invalid_request": "The request cannot be understood.",
    "invalid_type": "A field has the wrong JSON type; `param` names it.",
    "invalid_user_token": "The signed user token is none of ours, or the key that made it is not valid any more.",
    "invalid_value": "A field has a value that it cannot have; `param` names it.",
    "invitation_not_found": "The organization has no invitation with this id, or there is no open one with this token.",
    "invalid_sign_in": "No member has this address and password. A member who is disabled is told so too.",
    "invalid_totp": "The code is wrong, or was used before.",
    "issuer_not_found": "The operator has named no such issuer: see `[sign_in.oidc.<name>]`.",
    "key_not_found": "The organization has no key with this hash.",
    "last_admin": "The organization would have no enabled admin.",
    "last_workspace": "The organization would have no workspace.",
    "member_not_found": "The organization has no member with this id.",
    "method_not_allowed": "The path does not take this method; `Allow` names those that it takes.",
    "missing_api_key": "The request carries no key.",
    "missing_required_parameter": "A field that must be there is not; `param` names it.",
    "model_not_allowed": "The key's `allowed_models`, or a list of a guardrail, does not let the model be asked.",
    "model_not_found": "No provider is called like that, or it has no such model.",
    "no_provider_available": "The provider is known and not configured, or the organization's own key for it cannot be "
    "read; the message says what turns it on.",
    "no_matching_provider": "No provider of the model meets the conditions of the request's `provider` object, or of "
    "the suffix `:free`. `metadata.left_out` names each and the condition that it does not meet.",
    "not_found": "There is nothing at this path, or the key may not know of it.",
    "not_permitted": "The role of the member who made the key, or who is signed in, may not do this; or the key makes "
    "no user tokens, or none for this user.",
    "organization_not_found": "There is no organization with this id, or it is not that of the key.",
    "own_keys_not_configured": "Keys of an organization's own cannot be stored: `security.key_encryption_key` is not "
    "set.",
    "path_not_allowed": "The operator does not pass this path of a provider on: see `server.pass_through`.",
    "provider_key_not_found": "The organization has no provider key with this id.",
    "provider_not_allowed": "The key's `allowed_providers`, or a list of a guardrail, does not let the provider be "
    "asked, or the guardrail wants providers that keep nothing.",
    "query_too_heavy": "The answer would take more than may be read or added up at once: more records than "
    "`activity.most_scanned_records`, longer than `activity.query_timeout_s`, or too many groups. The message says "
    "what makes it so, and what to change.",
    "rate_limit_exceeded": "Too many requests or tokens, or too many requests at once; or the provider says so. Of "
    "ours `metadata` says `scope`, `guardrail`, `limit_name`, `limit`, `used`, `resets_at`; `Retry-After` says when "
    "to ask again.",
    "request_too_large": "The body is over `server.body_most_bytes`.",
    "session_expired": "The session was ended, has expired, or its member is gone or disabled. Sign in again.",
    "session_not_found": "The member has no session with this id.",
    "session_required": "Only a member who signed in may do this.",
    "shutting_down": "The gateway stops, and the request was not at its end when the time for that was over.",
    "storage_unavailable": "The ledger cannot be reached, or did not take the record of this request. It is kept in "
    "memory and tried again.",
    "string_above_max_length": "A text is too long: a user of more than 1,024 bytes, a name of more than 256 "
    "characters.",
    "too_many_queries": "Two summaries are being made and thirty wait. `Retry-After` says when to ask again.",
    "too_many_attempts": "More than 10 attempts within 15 minutes for one address. `Retry-After` says when "
    "to try again.",
    "totp_confirmed": "An authenticator app is confirmed already, or there is no password that it could add to.",
    "totp_required": "The password is right, and a code of the authenticator app is asked for: `totp`.",
    "unknown_parameter": "There is no such parameter; the message names the nearest one.",
    "unsupported_parameter": "Part of the contract, and not supported yet; or, with `provider.require_parameters`, a "
    "parameter that no provider of the model has a counterpart for. `param` names it.",
    "upstream_busy": "Every connection to the provider is taken (`upstream.most_connections`), and too many requests "
    "wait for one, or this one waited too long. Nothing was sent. `Retry-After` says when to ask again.",
    "upstream_error": "The provider failed. `metadata`: `provider`, and `upstream_status` and `upstream_code` where it "
    "told them.",
    "upstream_timeout": "The provider did not answer in time.",
    "user_blocked": "The end user is blocked. `metadata.reason` says why, if that was said.",
    "user_forbidden": "The key takes no requests with a `user`.",
    "user_not_found": "No request that the key may see names this user.",
    "user_required": "The key takes no requests without a `user`.",
    "user_token_required": "The key takes only requests with a signed user token in `X-ARouter-User-Token`.",
    "websocket_not_supported": "A WebSocket was asked for on a path that is passed through.",
    "workspace_not_found": "The organization has no workspace with this id.",
    "wrong_key_type": "A management key cannot infer, a live key cannot manage, a test key reaches the sandbox only.",
}
"""One sentence for each code; `tests/structure/test_docs.py` compares the names with those in the source."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A code and the class of the error that carries it."""

    code: str
    kind: type[ARouterError]


def error_codes() -> str:
    """The table of the page."""
    told = sorted(((one.code, *_words(one)) for one in collected()), key=lambda row: (row[1], row[0]))
    merged: dict[str, tuple[set[int], str]] = {}
    for name, status, type_ in told:
        statuses, _ = merged.setdefault(name, (set(), type_))
        statuses.add(status)
    return table(
        ("status", "type", "code", "meaning"),
        (
            ("–" if name in UNSEEN else ", ".join(map(str, sorted(statuses))), type_, code(name), MEANINGS[name])
            for name, (statuses, type_) in merged.items()
        ),
    )


def collected() -> set[Raised]:
    """Every code that the source names: `code="…"` in a call, and the default of each class."""
    kinds = _kinds()
    raised = {Raised(kind.default_code, kind) for kind in kinds.values() if kind is not ARouterError}
    for path in sorted(SOURCE.rglob("*.py")):
        raised.update(_literals(ast.parse(path.read_text(encoding="utf-8")), kinds))
    return raised


def _kinds() -> dict[str, type[ARouterError]]:
    own = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ARouterError)
    }
    return {**own, "ClientLeft": ClientLeft}


def _literals(tree: ast.AST, kinds: dict[str, type[ARouterError]]) -> Iterator[Raised]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
            stated = (keyword.value for keyword in node.keywords if keyword.arg == "code")
            for value in stated:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield Raised(value.value, kinds[node.func.id])


def _words(raised: Raised) -> tuple[int, str]:
    status, type_ = status_and_type(raised.kind(""))
    status = STATED.get(raised.code, status)
    return status, "invalid_request_error" if raised.code in STATED else type_
