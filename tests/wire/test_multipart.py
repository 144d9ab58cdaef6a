"""A form is read without a copy, changed field by field, and refused where it could be read in two ways."""

import re
from contextlib import suppress

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.wire.multipart import MOST_PARTS, Form, boundary_of, read_form

FILE = bytes(range(256)) + b"\r\n--not the boundary\r\n\r\n" + b"\r\n-"


def part(name: str, content: bytes = b"x", rest: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{rest}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> Form:
    return read_form(b"".join(parts) + b"--b--\r\n", b"b")


UPLOAD = part("model", b"openai/whisper-1") + part("file", FILE, '; filename="a.mp3"\r\nContent-Type: audio/mpeg')


def test_fields_and_files_are_told_apart() -> None:
    read = form(UPLOAD, part("user", "jürgen".encode()), part("empty", b""))
    assert [one.name for one in read.parts] == ["model", "file", "user", "empty"]
    assert (read.text("model"), read.text("user"), read.text("empty")) == ("openai/whisper-1", "jürgen", "")
    assert read.text("nothing") is None
    assert read.has_file("file", "image")
    assert not read.has_file("model", "image")


def test_a_change_touches_nothing_else() -> None:
    changed = form(UPLOAD, part("user", b"someone")).changed({"model": "whisper-1", "user": None})
    assert changed == part("model", b"whisper-1") + UPLOAD[len(part("model", b"openai/whisper-1")) :] + b"--b--\r\n"
    again = read_form(changed, b"b")
    assert (again.text("model"), again.text("user")) == ("whisper-1", None)
    file = again.parts[1]
    assert changed[file.content : file.end] == FILE


def test_what_stands_around_the_parts_has_no_meaning() -> None:
    body = b"preamble\r\n" + UPLOAD + b"--b--  \r\nepilogue"
    assert read_form(body, b"b").text("model") == "openai/whisper-1"
    assert read_form(UPLOAD + b"--b--", b"b").has_file("file")
    assert read_form(b"--b--", b"b").parts == ()


def test_white_space_behind_a_boundary_is_transport_padding() -> None:
    assert read_form(part("a").replace(b"--b\r\n", b"--b \t\r\n") + b"--b--", b"b").text("a") == "x"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ("Multipart/Form-Data;boundary=abc;charset=utf-8", b"abc"),
        ('multipart/form-data; charset=utf-8; BOUNDARY="a b:c"', b"a b:c"),
    ],
)
def test_the_boundary_is_in_the_content_type(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=abc",
        "multipart/form-data; boundary=ü",
        f"multipart/form-data; boundary={'x' * 71}",
    ],
)
def test_a_content_type_without_one_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        boundary_of(content_type)
    assert refused.value.code == "invalid_multipart"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b'{"model": "whisper-1"}',
        part("model"),
        part("model") + b"--b-",
        part("model") + b"--bc\r\n",
        b"--b\r\n\r\n--b--",
        b"--b\r\nno head\r\n--b--",
        b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name*=utf-8''a\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="a" junk\r\n\r\nx\r\n--b--',
        b"--b\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=b\r\n\r\nx\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--',
        part("x") * (MOST_PARTS + 1) + b"--b--",
        part("x", rest="; filename=" + "f" * 9000) + b"--b--",
        part("a", b"x\r\n--bold") + b"--b--",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_form(body, b"b")
    assert refused.value.code == "invalid_multipart"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((part("user"), part("user")), "invalid_value"),
        ((part("user", rest="; filename=x"),), "invalid_type"),
        ((part("user", b"\xff"),), "invalid_value"),
    ],
)
def test_a_field_that_is_not_one_text_is_named(parts: tuple[bytes, ...], code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        form(*parts).text("user")
    assert (refused.value.code, refused.value.param) == (code, "user")


@given(st.binary(max_size=200), st.text(max_size=20).filter(lambda text: "\r" not in text and "\n" not in text))
def test_what_a_client_writes_is_read_as_it_is(content: bytes, text: str) -> None:
    request = httpx2.Request(
        "POST", "http://gateway/", data={"user": text}, files={"file": ("a.mp3", content, "audio/mpeg")}
    )
    body = request.read()
    read = read_form(body, boundary_of(request.headers["content-type"]))
    assert read.text("user") == text
    file = next(one for one in read.parts if one.is_file)
    assert body[file.content : file.end] == content
    changed = read.changed({"model": "m"})
    again = read_form(changed, boundary_of(request.headers["content-type"]))
    assert [one.name for one in again.parts] == ["model", *(one.name for one in read.parts)]
    assert re.findall(rb"\r\n\r\n(.*)\r\n--", changed, re.DOTALL)


@given(st.binary())
def test_no_bytes_do_anything_but_be_refused(body: bytes) -> None:
    for data in (body, b"--b\r\n" + body, b"--b\r\nContent-Disposition: form-data; name=" + body + b"\r\n--b--"):
        with suppress(InvalidRequest):
            read_form(data, b"b")
