"""Where the gateway listens."""

import errno
import socket

import pytest

from arouter.wiring.listening import close_all, open_listener, open_listeners, url_of


def test_a_socket_for_each_worker_has_the_port_of_all() -> None:
    listeners = open_listeners("127.0.0.1", 0, 3)
    try:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
        assert len({listener.fileno() for listener in listeners}) == 3
        for listener in listeners:
            listener.listen()
        socket.create_connection(listeners[0].getsockname()).close()
    finally:
        close_all(listeners)


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_that_others_have_is_refused_also_where_the_others_would_share_it(count: int) -> None:
    taken = open_listeners("127.0.0.1", 0, 2)
    try:
        taken[0].listen()
        port = taken[0].getsockname()[1]
        with pytest.raises(OSError) as refused:
            close_all(open_listeners("127.0.0.1", port, count))
        assert refused.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError):
            open_listener("127.0.0.1", port).close()
    finally:
        close_all(taken)


def test_the_url_is_for_a_client_on_the_same_machine() -> None:
    assert url_of("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert url_of("::", 80) == "http://[::1]:80"
    assert url_of("::1", 80) == "http://[::1]:80"
    assert url_of("gateway.example", 80) == "http://gateway.example:80"
