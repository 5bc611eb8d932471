"""One connection."""

import asyncio
import itertools
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pysignalr.exceptions import AuthorizationError
from pysignalr.messages import CloseMessage, CompletionMessage, InvocationMessage, Message
from pysignalr.protocol.json import JSONProtocol
from pysignalr.transport.websocket import WebsocketTransport
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from ._state import hub_url

_MAX_FRAME_BYTES = 16 << 20


class _Transport(WebsocketTransport):
    """A transport that notices when the server sends nothing, not even pings, and that closes its socket."""

    server_timeout: float
    ended: Callable[[BaseException], None]

    async def _process(self, conn: ClientConnection) -> None:
        try:
            while True:
                async with asyncio.timeout(self.server_timeout):
                    message = await conn.recv()
                await self._on_raw_message(message)
        except TimeoutError:
            error = TimeoutError(f"the server sent nothing for {self.server_timeout:g} s")
            self.ended(error)
            raise error from None
        except Exception as error:
            self.ended(error)
            raise
        finally:
            await conn.close()


class Link:
    """
    One connection. A client makes a new one for each attempt, so that nothing of an old one reaches it. It uses the
    transport of pysignalr alone: pysignalr's client would send the token with each call, and connect again by itself.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float,
        server_timeout: float,
        tls: ssl.SSLContext | None,
        handlers: dict[str, Callable[[Any], None]],
        closed: Callable[[], None],
    ) -> None:
        parts = urlsplit(hub_url(url))
        query = "&".join(filter(None, [parts.query, "features=notices,snapshot,limits"]))
        self.over = False
        self.closing = False
        """The server has announced that it closes the connection."""
        self.waiting: list[dict[str, Any]] | None = None
        """Messages that wait until this is the client's connection; None: it is."""
        self.unauthorized = False
        self.failure: BaseException | None = None
        self.server_timeout = server_timeout
        self._timeout = timeout
        self._handlers = handlers
        self._closed = closed
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._opened = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._transport = _Transport(
            url=urlunsplit(parts._replace(query=query)),
            protocol=JSONProtocol(),
            callback=self._receive,
            headers={"Authorization": f"Bearer {token}"},
            ping_interval=None,  # type: ignore[arg-type] # the server pings
            connection_timeout=10,
            max_size=_MAX_FRAME_BYTES,
            ssl=tls,
        )
        self._transport.server_timeout = server_timeout
        self._transport.ended = self._lose
        self._transport.on_open(self._on_open)
        self._transport.on_close(self._on_close)

    async def start(self) -> None:
        """Connects."""
        self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._timeout):
                await self._opened.wait()
        except TimeoutError:
            self.end(TimeoutError(f"connecting took longer than {self._timeout:g} s"))
        if self.over:
            raise self.failure or ConnectionError("stopped")

    async def _run(self) -> None:
        try:
            await self._transport.run()
        except Exception as error:
            refused = isinstance(error, InvalidStatus) and error.response.status_code == 401
            self.unauthorized = not self._opened.is_set() and (refused or isinstance(error, AuthorizationError))
            self._lose(error)

    async def _on_open(self) -> None:
        self._opened.set()

    async def _on_close(self) -> None:
        raise ConnectionError("the server closed the connection")  # pysignalr would connect again

    async def call(self, method: str, *args: Any) -> Any:
        """Calls a hub method. A call without an answer ends the connection: its effect is unknown."""
        if self.over:
            raise ConnectionError("not connected")
        number = str(next(self._numbers))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._timeout):
                await self._transport.send(InvocationMessage(number, method, list(args)))
                return await answer
        except TimeoutError:
            self.end(TimeoutError(f"{method} took longer than {self._timeout:g} s"))
            raise
        finally:
            self._waiting.pop(number, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # sending has failed first: otherwise asyncio reports an error without a reader

    async def _receive(self, message: Message) -> None:
        if self.over:
            return
        if isinstance(message, InvocationMessage):
            if handler := self._handlers.get(message.target):
                handler(message.arguments[0])
        elif isinstance(message, CompletionMessage):
            answer = self._waiting.get(str(message.invocation_id))
            if answer and not answer.done():
                if message.error:
                    answer.set_exception(RuntimeError(message.error))
                else:
                    answer.set_result(message.result)
        elif isinstance(message, CloseMessage):
            raise ConnectionError(message.error or "the server closed the connection")

    def end(self, failure: BaseException | None) -> None:
        """Ends the connection, and reports this once."""
        if not self.over:
            self._lose(failure)
            if self._task:
                self._task.cancel()

    def _lose(self, failure: BaseException | None) -> None:
        """Reports the end of the connection once. Its task ends by itself."""
        if self.over:
            return
        self.over = True
        self.failure = failure
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the connection has ended"))
        self._opened.set()
        self._closed()

    async def stop(self) -> None:
        """Ends the connection, and waits until the socket is closed."""
        self.end(None)
        if self._task:
            await asyncio.wait([self._task], timeout=self._timeout)
