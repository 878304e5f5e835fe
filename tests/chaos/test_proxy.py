"""The proxy passes what comes, and its faults are those of a network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy, Shape


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says back what it hears: its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def is_broken(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(1) == b""
    except OSError:
        return True


def test_what_is_held_by_a_black_hole_arrives_when_it_ends(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connect(proxy) as connection:
        connection.sendall(b"before")
        assert connection.recv(6, socket.MSG_WAITALL) == b"before"
        proxy.black_hole()
        connection.sendall(b"during")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(30)

        proxy.heal()

        assert connection.recv(6, socket.MSG_WAITALL) == b"during"


def test_a_cut_breaks_what_is_open_and_refuses_what_comes_until_it_heals(echo: int) -> None:
    with Proxy(lambda: echo) as proxy, connect(proxy) as first:
        first.sendall(b"a")
        assert first.recv(1) == b"a"

        proxy.cut()

        assert is_broken(first)
        with connect(proxy) as second:
            assert is_broken(second)
        proxy.heal()
        with connect(proxy) as third:
            third.sendall(b"c")
            assert third.recv(1) == b"c"


def test_what_passes_slowly_arrives_whole_and_in_order(echo: int) -> None:
    said = bytes(range(256)) * 200
    with Proxy(lambda: echo, Shape(0.001, 2_000_000)) as proxy, connect(proxy) as connection:
        threading.Thread(target=connection.sendall, args=(said,)).start()

        heard = b""
        while len(heard) < len(said):
            heard += connection.recv(65536)
        assert heard == said
