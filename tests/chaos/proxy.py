"""A TCP proxy on the loopback that can cut, delay and black-hole what passes.

It runs on a thread of its own, so that its faults are the network's: neither end is asked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from embedded.server import LOOPBACK, free_port

CHUNK_BYTES = 16 * 1024
CALL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How bytes pass: each chunk waits `delay_s`, and no connection moves more than `bytes_s` in a second each way."""

    delay_s: float = 0.0
    bytes_s: float = float("inf")


class Proxy:
    """Passes connections on to `upstream()`, which is asked anew for each; started, it has a `port` that stays.

    `delay`, `cut` and `black_hole` last until `heal`.
    """

    def __init__(self, upstream: Callable[[], int], shape: Shape | None = None) -> None:
        self.port = free_port()
        self.connections = 0  # passed on so far
        self._upstream = upstream
        self._usual = shape or Shape()
        self._shape = self._usual
        self._refuses = False
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """Where to connect: host and port."""
        return f"{LOOPBACK}:{self.port}"

    def cut(self) -> None:
        """Break every connection, refuse new ones."""
        self._call(self._cut(refuses=True))

    def break_connections(self) -> None:
        """Break every connection once; new ones pass."""
        self._call(self._cut(refuses=False))

    def delay(self, shape: Shape) -> None:
        """Let everything pass slower than usual."""
        self._call(self._set(shape))

    def black_hole(self) -> None:
        """Let nothing pass, without a word: connections stay open, new ones are taken and not answered."""
        self._call(self._hold())

    def heal(self) -> None:
        """Let everything pass as usual; what a black hole held arrives now."""
        self._call(self._set(self._usual))

    # ------------------------------------------------------------ on the proxy's own thread

    def _call(self, act: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(act, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> None:
        self._passing = asyncio.Event()
        self._passing.set()
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def _set(self, shape: Shape) -> None:
        self._shape, self._refuses = shape, False
        self._passing.set()

    async def _hold(self) -> None:
        self._passing.clear()

    async def _cut(self, *, refuses: bool) -> None:
        self._refuses = refuses
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        await self._cut(refuses=True)
        for pump in tuple(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self._open.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one end broke: so does the other; or the proxy closes
        finally:
            writer.transport.abort()
            self._open.discard(writer)
            self._pumps.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        if self._refuses:
            return
        there, onward = await asyncio.open_connection(LOOPBACK, self._upstream())
        self._open.add(onward)
        self.connections += 1
        pumps = [asyncio.create_task(self._pump(*ends)) for ends in ((reader, onward), (there, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            onward.transport.abort()
            self._open.discard(onward)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way of a connection. An end that is closed ends both ways, once all before it has arrived."""
        while chunk := await reader.read(CHUNK_BYTES):
            wait_s = self._shape.delay_s + len(chunk) / self._shape.bytes_s
            if wait_s:
                await asyncio.sleep(wait_s)
            await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
