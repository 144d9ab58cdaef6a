"""What inference requests say in their headers."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.web.inference.headers import (
    app_of,
    request_id_of,
    session_of,
    tags_of,
    user_header,
    user_of,
    wants_attempts,
)


@pytest.mark.parametrize("given_id", [b"req-1", b"a.B_c:d/e+f=", b"x" * 128])
def test_a_request_id_that_is_safe_is_echoed(given_id: bytes) -> None:
    assert request_id_of({b"x-request-id": given_id}) == given_id.decode()


@pytest.mark.parametrize("given_id", [b"", b"a b", b"x" * 129, b"\xff", b"a\nb", b"<script>", b'"'])
def test_any_other_is_ours(given_id: bytes) -> None:
    assert request_id_of({b"x-request-id": given_id}) is None
    assert request_id_of({}) is None


@given(st.text())
def test_a_user_makes_the_round_trip(user: str) -> None:
    name, value = user_header(user)
    assert name == b"x-arouter-user"
    assert value.isascii()
    assert user_of({name: value}) == user == unquote(value.decode())


def test_a_user_header_that_is_no_text_is_refused() -> None:
    assert user_of({}) is None
    assert user_of({b"x-arouter-user": b""}) == ""
    for value in (b"%ff", b"\xff"):
        with pytest.raises(InvalidRequest):
            user_of({b"x-arouter-user": value})


def test_tags_are_a_list_without_repetition() -> None:
    assert tags_of({}) == ()
    assert tags_of({b"x-arouter-tags": b" a, b,,a ,"}) == ("a", "b")
    assert len(tags_of({b"x-arouter-tags": ",".join(map(str, range(16))).encode()})) == 16
    for value in (",".join(map(str, range(17))), "x" * 129, "é" * 65):
        with pytest.raises(InvalidRequest):
            tags_of({b"x-arouter-tags": value.encode()})


def test_the_application_and_the_session_name_themselves() -> None:
    assert app_of({b"http-referer": b"https://a", b"referer": b"https://b", b"x-title": b"T\xff"}) == (
        "https://a",
        "T\ufffd",
    )
    assert app_of({b"referer": b"https://b"}) == ("https://b", None)
    assert app_of({}) == (None, None)
    assert session_of({b"x-session-id": b"s"}) == "s"
    assert session_of({}) is None


@pytest.mark.parametrize(
    ("said", "meant"), [(b"enabled", True), (b"Enabled", True), (b"disabled", False), (b"", False)]
)
def test_attempts_are_told_to_whoever_asks(said: bytes, meant: bool) -> None:
    assert wants_attempts({b"x-arouter-metadata": said}) is meant
    assert not wants_attempts({})
