"""Base URLs, request heads and proxies, without a network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.engine.head import request_head
from arouter.engine.origin import Origin
from arouter.engine.pool import PoolLimits
from arouter.engine.proxy import Proxies, Proxy
from arouter.engine.timeouts import Timeouts

HERE = Origin(scheme="https", host="api.example.com", port=443, path="/v1")


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path", "authority"),
    [
        ("https://api.example.com/v1", "https", "api.example.com", 443, "/v1", "api.example.com"),
        ("https://api.example.com/v1/", "https", "api.example.com", 443, "/v1", "api.example.com"),
        ("http://localhost:11434", "http", "localhost", 11434, "", "localhost:11434"),
        ("HTTP://LocalHost/", "http", "localhost", 80, "", "localhost"),
        ("http://[::1]:8000/a/b", "http", "::1", 8000, "/a/b", "[::1]:8000"),
        ("https://example.com:80", "https", "example.com", 80, "", "example.com:80"),
    ],
)
def test_a_base_url_is_read(url: str, scheme: str, host: str, port: int, path: str, authority: str) -> None:
    origin = Origin.from_url(url)
    assert origin == Origin(scheme=scheme, host=host, port=port, path=path)
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "ftp://example.com",
        "https://",
        "https:///v1",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:x",
        "https://exa mple.com",
        "https://example.com\r\nX: y",
        "https://exämple.com",
        "https://a..b",
        "https://" + "a" * 64,
        "https://[::1",
        "https://a%2fb/",
        "https://example.com/v1?key=secret",
        "https://example.com/v1#secret",
        "https://user:secret@example.com",
        "https://secret@example.com",
    ],
)
def test_what_is_no_base_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="a base URL") as caught:
        Origin.from_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST /", "/a", []),
        ("HEAD", "/a", []),
        ("CONNECT", "/a", []),
        ("POST", "a", []),
        ("POST", "", []),
        ("POST", "/a b", []),
        ("POST", "/a\r\nX: y", []),
        ("POST", "/ü", []),
        ("POST", "/a", [("", "v")]),
        ("POST", "/a", [("X Y", "v")]),
        ("POST", "/a", [("X:", "v")]),
        ("POST", "/a", [("X\r\nY", "v")]),
        ("POST", "/a", [("X", "secret\r\nY: z")]),
        ("POST", "/a", [("X", "secret\n")]),
        ("POST", "/a", [("X", "secret\0")]),
        ("POST", "/a", [("X", "secret\r")]),
        ("POST", "/a", [("X", "secretü")]),
        ("POST", "/a", [("host", "v")]),
        ("POST", "/a", [("Content-Length", "1")]),
        ("POST", "/a", [("Transfer-Encoding", "chunked")]),
        ("POST", "/a", [("Connection", "close")]),
    ],
)
def test_a_head_that_would_not_be_one_request_is_refused(
    method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    with pytest.raises(ValueError, match=r"header field|method|path") as caught:
        request_head(HERE, method, path, headers)
    assert "secret" not in str(caught.value)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4), st.text(max_size=8))
def test_a_head_is_refused_or_has_exactly_the_lines_asked_for(headers: list[tuple[str, str]], path: str) -> None:
    try:
        head = request_head(HERE, "POST", "/" + path, headers)
    except ValueError:
        return
    lines = head.decode("ascii").split("\r\n")
    assert lines == [
        f"POST /v1/{path} HTTP/1.1",
        "Host: api.example.com",
        *(f"{name}: {value}" for name, value in headers),
        "",
    ]
    assert "\n" not in "".join(lines)


@pytest.mark.parametrize(
    ("without", "host", "port", "goes_through"),
    [
        ("", "api.example.com", 443, True),
        ("example.com", "api.example.com", 443, False),
        (".example.com", "api.example.com", 443, False),
        ("example.com", "example.com", 443, False),
        ("ample.com", "example.com", 443, True),
        ("localhost, API.example.com", "api.example.com", 443, False),
        ("api.example.com:8443", "api.example.com", 443, True),
        ("api.example.com:8443", "api.example.com", 8443, False),
        ("::1", "::1", 443, False),
        ("*", "api.example.com", 443, False),
    ],
)
def test_hosts_that_need_no_proxy(without: str, host: str, port: int, goes_through: bool) -> None:
    proxies = Proxies({"https": "http://proxy:8888", "no": without})
    proxy = proxies.proxy_for(Origin(scheme="https", host=host, port=port))
    assert proxy == (Proxy(host="proxy", port=8888) if goes_through else None)
    assert proxies.proxy_for(Origin(scheme="http", host=host, port=port)) is None


def test_a_proxy_without_a_port_listens_on_the_usual_one() -> None:
    assert Proxy.from_url("http://proxy") == Proxy(host="proxy", port=3128)


@pytest.mark.parametrize("url", ["proxy:3128", "socks5://proxy", "https://proxy", "http://", "http://p:x", "http://[p"])
def test_what_is_no_proxy_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy URL"):
        Proxy.from_url(url)


def test_proxies_for_unknown_schemes_are_refused() -> None:
    with pytest.raises(ValueError, match="not for ftp"):
        Proxies({"ftp": "http://proxy"})


def test_a_proxy_does_not_show_its_credentials() -> None:
    assert "c2VjcmV0" not in repr(Proxy.from_url("http://secret:secret@proxy"))


@pytest.mark.parametrize("name", ["connect_s", "first_byte_s", "idle_s", "total_s"])
def test_a_timeout_is_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Timeouts(**{name: 0.0})


@pytest.mark.parametrize("limits", [{"max_connections": 0}, {"max_idle": -1}, {"max_waiting": -1}, {"acquire_s": 0}])
def test_a_limit_that_allows_nothing_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least one connection|above zero"):
        PoolLimits(**limits)
