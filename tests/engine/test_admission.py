"""The rules of a key: each refusal, and who passes."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import ARouterError, InvalidRequest, NotPermitted
from arouter.domain.keys import KeyKind, UserPolicy
from arouter.engine.admission import Admission, check_allowed, check_kind, check_user, resolve_user
from tests.engine.samples import call, key, route

DOLLAR = 10**12


def refused(code: str, kind: type[ARouterError] = NotPermitted) -> Any:
    return pytest.raises(kind, check=lambda error: error.code == code)


@pytest.mark.parametrize("policy", list(UserPolicy))
def test_a_fixed_user_is_the_keys_own(policy: UserPolicy) -> None:
    rules = key(user_policy=policy, fixed_user="fixed" if policy is UserPolicy.FIXED else None)
    believed = {UserPolicy.FIXED: "fixed", UserPolicy.SIGNED: None}.get(policy, "said")
    assert resolve_user(rules, "said") == believed
    assert resolve_user(rules, None) == ("fixed" if policy is UserPolicy.FIXED else None)


@given(st.text())
def test_any_text_of_at_most_1024_bytes_is_a_user(user: str) -> None:
    if len(user.encode()) <= 1024:
        check_user(user)
        assert resolve_user(key(), user) == user
    else:
        with refused("string_above_max_length", InvalidRequest):
            check_user(user)


def test_the_limit_of_a_user_is_in_bytes() -> None:
    check_user("ü" * 512)
    with refused("string_above_max_length", InvalidRequest):
        check_user("ü" * 512 + "x")
    with refused("invalid_value", InvalidRequest):
        check_user("\ud800")


def test_a_management_key_never_infers_and_a_test_key_reaches_the_sandbox_only() -> None:
    check_kind(key(), route())
    check_kind(key(kind=KeyKind.TEST), route("sandbox/sandbox-echo"))
    for kind, asked in ((KeyKind.MANAGEMENT, "sandbox/x"), (KeyKind.TEST, "openai/x"), (KeyKind.TEST, "ollama/x")):
        with refused("wrong_key_type"):
            check_kind(key(kind=kind), route(asked))


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ({}, True),
        ({"allowed_providers": ("xai",)}, True),
        ({"allowed_providers": ("x-ai", "openai")}, True),
        ({"allowed_providers": ("openai",)}, False),
        ({"allowed_providers": ()}, False),
        ({"allowed_models": ("xai/grok",)}, True),
        ({"allowed_models": ("grok",)}, True),
        ({"allowed_models": ("x-ai/grok",)}, True),
        ({"allowed_models": ("grok-2", "openai/grok")}, False),
        ({"allowed_models": ()}, False),
    ],
)
def test_the_lists_of_a_key_hold_by_any_name_of_the_same_thing(rules: dict[str, Any], passes: bool) -> None:
    if passes:
        check_allowed(key(**rules), route("xai/grok"), "x-ai/grok")
    else:
        with refused("model_not_allowed" if "allowed_models" in rules else "provider_not_allowed"):
            check_allowed(key(**rules), route("xai/grok"), "x-ai/grok")


@pytest.mark.parametrize(
    ("policy", "user", "code"),
    [
        (UserPolicy.REQUIRED, None, "user_required"),
        (UserPolicy.REQUIRED, "", None),
        (UserPolicy.FORBIDDEN, "", "user_forbidden"),
        (UserPolicy.FORBIDDEN, None, None),
        (UserPolicy.OPTIONAL, None, None),
        (UserPolicy.SIGNED, None, "user_token_required"),
        (UserPolicy.SIGNED, "said", "user_token_required"),
    ],
)
def test_a_key_may_demand_or_forbid_a_user(policy: UserPolicy, user: str | None, code: str | None) -> None:
    admission = Admission()
    with contextlib.nullcontext() if code is None else refused(code):
        admission.check(call(user=user, key=key(user_policy=policy)), route(), "openai/gpt-5.4")
