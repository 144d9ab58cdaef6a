"""Whom a request is for, in `metadata.user_id`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.anthropic_messages.identity import identity_of_metadata, session_of_metadata

DEVICE = "5dd07c33da27e6d2968d94ea20bf47a7b090b6b158b82328d54da2909a108e84"
ACCOUNT = "de007568-3f5c-4f0e-9a39-0d1c8b3b5c11"
SESSION = "d2e70091-3007-41a3-a916-cb8b0d3098de"

UNDERSCORED = f"user_{DEVICE}_account_{ACCOUNT}_session_{SESSION}"
MEMBERS = json.dumps({"device_id": DEVICE, "account_uuid": ACCOUNT, "session_id": SESSION})


@pytest.mark.parametrize("user_id", [UNDERSCORED, MEMBERS])
def test_the_account_of_claude_code_is_the_user(user_id: str) -> None:
    assert identity_of_metadata(user_id, "claude-code") == ACCOUNT
    assert session_of_metadata(user_id, "claude-code") == SESSION


@pytest.mark.parametrize(
    "user_id",
    [
        f"user_{DEVICE}_account__session_{SESSION}",
        json.dumps({"device_id": DEVICE, "account_uuid": "", "session_id": SESSION}),
        json.dumps({"device_id": DEVICE, "session_id": SESSION}),
    ],
)
def test_behind_a_key_claude_code_names_no_account_and_the_device_is_the_user(user_id: str) -> None:
    assert identity_of_metadata(user_id, "claude-code") == DEVICE
    assert session_of_metadata(user_id, "claude-code") == SESSION


def test_two_sessions_are_one_user() -> None:
    other = UNDERSCORED.replace(SESSION, "00000000-0000-4000-8000-000000000000")
    assert identity_of_metadata(other, "claude-code") == identity_of_metadata(UNDERSCORED, "claude-code")
    assert session_of_metadata(other, "claude-code") != session_of_metadata(UNDERSCORED, "claude-code")


def test_members_that_the_user_of_claude_code_configured_do_not_matter() -> None:
    extended = json.dumps({"team": "a", **json.loads(MEMBERS), "nested": {"account_uuid": "x"}})
    assert identity_of_metadata(extended, "claude-code") == ACCOUNT


@pytest.mark.parametrize("user_id", [UNDERSCORED, MEMBERS])
def test_raw_takes_nothing_apart(user_id: str) -> None:
    assert identity_of_metadata(user_id, "raw") == user_id
    assert session_of_metadata(user_id, "raw") is None


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        "user_12345",
        "Zoë ",
        "user_abc_account_def_session_ghi",
        f"{UNDERSCORED}\n",
        f" {UNDERSCORED}",
        f"user_{DEVICE}_account_{ACCOUNT}",
        f"user_{DEVICE}_account_{ACCOUNT}_session_",
        "{}",
        "{",
        '{"device_id":""}',
        json.dumps({"device_id": "", "account_uuid": ACCOUNT, "session_id": SESSION}),
        json.dumps({"device_id": DEVICE, "account_uuid": ACCOUNT, "session_id": ""}),
        json.dumps({"device_id": DEVICE, "account_uuid": ACCOUNT}),
        json.dumps({"device_id": 1, "account_uuid": ACCOUNT, "session_id": SESSION}),
        json.dumps({"device_id": DEVICE, "account_uuid": None, "session_id": SESSION}),
        '{"a":' * 5000,
        "{\ud800}",
    ],
)
def test_everything_else_is_the_user_byte_for_byte(user_id: str) -> None:
    assert identity_of_metadata(user_id, "claude-code") == user_id
    assert session_of_metadata(user_id, "claude-code") is None


@given(st.text())
def test_any_other_text_is_the_user(user_id: str) -> None:
    assert identity_of_metadata(user_id, "claude-code") == user_id
