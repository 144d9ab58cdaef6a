"""Whom a request is for, in the `metadata.user_id` of the Messages API.

Applications send one opaque word for each of their users. Claude Code sends one text for each session, in one of two
forms, the second since 2026:

    user_<device>_account_<account>_session_<session>
    {"device_id":"<device>","account_uuid":"<account>","session_id":"<session>"}

Taken as it is, that would make a user of every session. `device` is 64 hexadecimal digits, one for each installation
and the same in both forms; `account` is the UUID of a Claude account, and empty where Claude Code has an API key, as
it has behind a gateway; `session` is a UUID. The second form may hold more members, which its user configures.
Read from what clients send; Anthropic documents neither form.
"""

import re
from typing import Literal

import msgspec

from arouter.domain.value import value

Extraction = Literal["raw", "claude-code"]
"""`raw`: `metadata.user_id` is the user, byte for byte. `claude-code`: Claude Code's two forms are taken apart, and
everything else is the user, byte for byte."""

_UNDERSCORED = re.compile(
    r"user_(?P<device>[0-9a-f]{64})"
    r"_account_(?P<account>[0-9a-fA-F-]*)"
    r"_session_(?P<session>[0-9a-fA-F-]+)"
)


@value(frozen=True, slots=True, kw_only=True)
class _ClaudeCode:
    """What either form says."""

    device: str
    account: str
    session: str


class _Members(msgspec.Struct):
    device_id: str
    session_id: str
    account_uuid: str = ""


_MEMBERS = msgspec.json.Decoder(_Members)


def identity_of_metadata(user_id: str, extraction: Extraction) -> str:
    """The user: the account, or the device where no account is named."""
    told = _read(user_id, extraction)
    if told is None:
        return user_id
    return told.account or told.device


def session_of_metadata(user_id: str, extraction: Extraction) -> str | None:
    """The session; None where `user_id` is not one of Claude Code's."""
    told = _read(user_id, extraction)
    return None if told is None else told.session


def _read(user_id: str, extraction: Extraction) -> _ClaudeCode | None:
    if extraction == "raw":
        return None
    match = _UNDERSCORED.fullmatch(user_id)
    if match is not None:
        return _ClaudeCode(device=match["device"], account=match["account"], session=match["session"])
    if not user_id.startswith("{"):
        return None
    try:
        told = _MEMBERS.decode(user_id)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not told.device_id or not told.session_id:
        return None
    return _ClaudeCode(device=told.device_id, account=told.account_uuid, session=told.session_id)
