"""The client."""

import asyncio
import inspect
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Literal, Self

from ._link import Link
from ._state import ClientState, Discontinuity, StateKind, Topic, call_all, retry_delay, text_of
from ._subscription import Subscription, TopicEntry, key_of
from .events import RteEvent, TypedHandlers

Access = str | Mapping[str, Any] | None
TokenReason = Literal["connect", "refused"]
Reload = Callable[[Discontinuity], Awaitable[object] | object]

_MAX_SEEN = 4096
"""Number of remembered ids of events, to leave out duplicates."""

_MAX_WAITING = 4096
"""Number of messages of the next connection that wait for the end of the one before."""

_logger = logging.getLogger("rte_server_client")


class RteClient(TypedHandlers):
    """
    A client of the hub. It connects until it succeeds, subscribes again after every interruption, and reports where
    events may be missing. One instance serves a whole application. All its methods belong to one event loop.
    """

    def __init__(
        self,
        token: Callable[[TokenReason], Awaitable[Access] | Access],
        *,
        url: str | None = None,
        retry_delay: Callable[[int], float] = retry_delay,
        batch_items: int | None = None,
        batch_bytes: int | None = None,
        timeout: float = 30,
        server_timeout: float = 30,
        on_error: Callable[[BaseException], object] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """
        token: returns a new token, or the answer of the REST API that contains one. The client calls it for every
            attempt to connect, in a thread if it is no coroutine. None means that the user is signed out, and ends the
            client. An error is a failed attempt; the client tries again.
        url: address of the hub; not needed if `token` returns the answer of the REST API, which contains it.
        retry_delay: the pause in seconds before another attempt, by the number of failures before it.
        batch_items, batch_bytes: largest call; default: the limits of the server.
        timeout: longest time in seconds to connect, to get a token, or to wait for an answer.
        server_timeout: seconds without a message, after which the connection counts as lost.
        on_error: takes errors of the application's functions; default: the log.
        tls: how certificates are checked; default: by the authorities of the system.
        """
        self._token = token
        self._url = url
        self._retry_delay = retry_delay
        self._options = (batch_items, batch_bytes)
        self._most_items = self._batch_items = batch_items or 2000
        self._batch_bytes = batch_bytes or 30_000
        self._timeout = timeout
        self._server_timeout = server_timeout
        self._report: Callable[[BaseException], object] = on_error or self._log
        self._tls = tls
        self._topics: dict[str, TopicEntry] = {}
        self._handlers: dict[str, list[Callable[[Any], object]]] = {}
        self._reloads: list[Reload] = []
        self._state_listeners: list[Callable[[ClientState], object]] = []
        self._seen: dict[tuple[int, str], None] = {}
        self._state = ClientState("behind", datetime.now(timezone.utc), "not started")
        self._work = asyncio.Event()
        self._connected = asyncio.Event()
        self._stopping = asyncio.Event()
        self._link: Link | None = None
        self._links: set[asyncio.Task[None]] = set()  # links that close their sockets
        self._running: asyncio.Task[None] | None = None
        # The next connection with the topics that it has already; see _prepare.
        self._next: tuple[Link, set[TopicEntry]] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._leftovers: list[TopicEntry] = []
        """Subscriptions of the connection that the application ended before the client used it."""
        self._notices: list[dict[str, Any]] = []
        self._snapshots_under_way = False
        self._missed: dict[TopicEntry, float] = {}
        self._missed_reason = ""
        self._reloading: asyncio.Task[None] | None = None
        self._reload_failures = 0
        self._reload_due = 0.0

    @property
    def state(self) -> ClientState:
        """The state to show beside the data."""
        return self._state

    def on_state(self, listener: Callable[[ClientState], object]) -> Callable[[], None]:
        """Calls a function after each change of `state`. Returns a function that ends this."""
        self._state_listeners.append(listener)
        return lambda: self._state_listeners.remove(listener)

    def on_discontinuity(self, reload: Reload) -> Callable[[], None]:
        """
        Calls a function where events may be missing: after a lost connection, and when the server reports a loss. The
        last states have arrived by then, as far as the server has them. The function, which may be a coroutine, fetches
        the rest. `state` is behind until it returns; after an error the client calls it again.
        """
        self._reloads.append(reload)
        return lambda: self._reloads.remove(reload)

    def on_any(self, handler: Callable[[RteEvent], object]) -> Callable[[], None]:
        """Calls a function with each event. Returns a function that ends this."""
        return self._on("", handler)

    def _on(self, name: str, handler: Callable[[Any], object]) -> Callable[[], None]:
        _must_be_plain(handler)
        handlers = self._handlers.setdefault(name.lower(), [])
        handlers.append(handler)
        return lambda: handlers.remove(handler)

    def subscribe(
        self, entity_id: str, event_name: str, handler: Callable[[Any], object] | None = None,
    ) -> Subscription:
        """
        Subscribes to an event of an entity, until `unsubscribe` or a refusal. It may be called at any time, also before
        `start`: calls of the same moment become one call to the server, cut to its limits. Several subscriptions to one
        topic are one at the server; a later one gets the last states that the client has.
        """
        if handler:
            _must_be_plain(handler)
        key = key_of(entity_id, event_name)
        entry = self._topics.get(key)
        if entry is None:
            entry = self._topics[key] = TopicEntry(Topic(entity_id, event_name), self._work.set)
        subscription = Subscription(entry, handler, self._report)
        entry.subscriptions.add(subscription)
        if self._state.kind == "gone":
            entry.set("ended", self._state.reason)
        elif entry.state in ("refused", "ended"):
            entry.set("pending")
        if entry.state != "pending":
            asyncio.get_running_loop().call_soon(subscription._changed)
        if handler:
            for event in list(entry.states.values()):
                asyncio.get_running_loop().call_soon(self._replay, entry, subscription, event)
        self._work.set()
        return subscription

    def _replay(self, entry: TopicEntry, subscription: Subscription, event: dict[str, Any]) -> None:
        # A newer state has come to the handler by itself.
        if subscription in entry.subscriptions and event in entry.states.values() and subscription._handler:
            call_all([subscription._handler], self._report, event)

    async def available_subscriptions(self) -> list[str]:
        """Returns the names of all events that the server knows."""
        return list(await self._call("AvailableSubscriptions"))

    async def active_subscriptions(self) -> list[dict[str, Any]]:
        """Returns the subscriptions of this connection at the server."""
        return list(await self._call("ActiveSubscriptions"))

    async def _call(self, method: str) -> Any:
        if not self._link:
            raise ConnectionError("not connected")
        return await self._link.call(method)

    async def start(self) -> None:
        """Connects. It returns at the first connection, however long that takes, and raises an error at the end."""
        if self._running is None and not self._stopping.is_set():
            self._running = asyncio.create_task(self._run())
        await self._connected.wait()
        if self._state.kind == "gone":
            raise ConnectionError(f"the client is gone: {self._state.reason}")

    async def stop(self) -> None:
        """Ends the client for good."""
        self._stopping.set()
        if self._preparing:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
        if self._next:
            self._close(self._next[0])
            self._next = None
        if self._link:
            await self._link.stop()
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._reloading:
            self._reloading.cancel()
        if self._links:
            await asyncio.wait(self._links, timeout=self._timeout)
        self._end("stopped")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @staticmethod
    def _log(error: BaseException) -> None:
        _logger.error("%s", text_of(error), exc_info=error)

    async def _access(self, reason: TokenReason) -> tuple[str, str] | None:
        async with asyncio.timeout(self._timeout):
            answer: Any = self._token
            answer = answer(reason) if inspect.iscoroutinefunction(answer) else await asyncio.to_thread(answer, reason)
            if inspect.isawaitable(answer):
                answer = await answer
        access = {"Token": answer} if isinstance(answer, str) else answer or {}
        if not access.get("Token"):
            return None
        url = self._url or access.get("WssEndpoint") or access.get("WSSEndpoint")
        if not url:
            raise ValueError("url is missing, and the answer for a token has no WssEndpoint")
        return str(access["Token"]), str(url)

    async def _run(self) -> None:
        """Connects again and again."""
        failures = 0
        renewed = False
        while True:
            link = None
            since = 0.0
            try:
                link = self._adopt()
                if link is None:
                    access = await self._access("refused" if renewed else "connect")
                    if access is None:
                        return self._end("there is no token")
                    self._show("connecting")
                    link = self._open(*access)
                    await link.start()
                since = time.monotonic()
                renewed = False
                self._link = link
                self._connected.set()
                await self._serve(link)
            except asyncio.CancelledError:
                if link:
                    link.end(None)
                raise
            except Exception as error:
                if link:
                    link.end(error)
                else:
                    self._report(error)
                    self._show(f"no token: {text_of(error)}")
            self._link = None
            if link:
                self._close(link)
                self._interrupt(link, since > 0)
                if self._next:
                    continue
                if link.unauthorized:
                    if renewed:
                        return self._end("the server refused a new token: 401")
                    renewed = True
                    continue
            # Otherwise a server that accepts and closes at once would be called without a pause.
            if since > 0 and time.monotonic() - since > 10:
                failures = 0
            await asyncio.sleep(self._retry_delay(failures))
            failures += 1

    def _open(self, token: str, url: str) -> Link:
        def receive(message: dict[str, Any]) -> None:
            if link.waiting is None:
                self._receive(message)
            elif len(link.waiting) < _MAX_WAITING:
                link.waiting.append(message)
            else:
                link.end(OverflowError("too many events wait"))

        def resync(notice: dict[str, Any]) -> None:
            if link.waiting is None:
                self._notices.append(notice)
                self._work.set()
            else:
                link.end(ConnectionError("events were lost"))  # the client connects again, and reloads

        def announce(_: dict[str, Any]) -> None:
            link.closing = True
            self._work.set()

        link = Link(
            url, token, timeout=self._timeout, server_timeout=self._server_timeout, tls=self._tls, closed=self._work.set,
            handlers={
                "MessageReceived": receive,
                "SubscriptionsEnded": self._drop,
                "Resync": resync,
                "Limits": self._limit,
                "Closing": announce,
            },
        )
        return link

    def _close(self, link: Link) -> None:
        closing = asyncio.create_task(link.stop())
        self._links.add(closing)
        closing.add_done_callback(self._links.discard)

    async def _prepare(self, before: Link) -> None:
        """
        Opens the next connection while the server still serves the one that it is about to close, so that no event is
        missing. The events of the next one wait until the old one has ended: so they stay in order. If it fails, the
        client connects again as after any other end.
        """
        link = None
        try:
            access = await self._access("connect")
            if access is None:
                return
            link = self._open(*access)
            link.waiting = []
            await link.start()
            granted: set[TopicEntry] = set()
            rest = [entry for entry in self._topics.values() if entry.state == "active"]
            while rest:
                batch = self._batch(rest)
                rest = rest[len(batch):]
                results = await link.call("Subscribe", [entry.item for entry in batch])
                granted.update(entry for i, entry in enumerate(batch) if _code_of(results, i) == "ok")
            if self._link is before and not before.over:
                self._next = link, granted
        except Exception as error:
            _logger.debug("the next connection: %s", text_of(error))
        finally:
            self._preparing = None
            if link and not (self._next and self._next[0] is link):
                self._close(link)

    def _adopt(self) -> Link | None:
        """Makes the next connection the client's, if there is one."""
        if self._next is None:
            return None
        (link, granted), self._next = self._next, None
        self._leftovers = [
            entry for entry in granted if entry.state != "active" or self._topics.get(entry.key) is not entry
        ]
        waiting, link.waiting = link.waiting or [], None
        # Messages before an event that the client has are older, such as the state that came at the subscription.
        known = {self._key(message)[0]: i for i, message in enumerate(waiting) if self._key(message) in self._seen}
        for i, message in enumerate(waiting):
            if i > known.get(self._key(message)[0], -1):
                self._receive(message)
        return link

    def _limit(self, limits: dict[str, Any]) -> None:
        items, size = self._options
        self._most_items = self._batch_items = items or limits["items"]
        self._batch_bytes = size or limits["messageBytes"] - 200  # the text around the items

    def _interrupt(self, link: Link, was_open: bool) -> None:
        """A new connection has no subscriptions, and events of the time without one are missing."""
        why = f"connection lost: {text_of(link.failure)}" if link.failure else "connection lost"
        if self._next and self._next[0].over:
            self._next = None
        if not self._next:
            self._show(why)
        granted = self._next[1] if self._next else set()
        self._leftovers.clear()
        for entry in self._topics.values():
            if entry.state == "active" and entry not in granted:
                if was_open:
                    entry.miss(time.time() - link.server_timeout, "reconnect")
                entry.set("pending", why)
            entry.due = entry.failures = 0
        for notice in self._notices:
            self._lose(notice)
        self._notices.clear()

    def _end(self, reason: str) -> None:
        self._stopping.set()
        self._set("gone", reason)
        self._connected.set()
        for entry in self._topics.values():
            entry.set("ended", reason)

    def _show(self, reason: str) -> None:
        self._set("behind", reason)

    def _set(self, kind: StateKind, reason: str = "") -> None:
        before = self._state
        if before.kind == "gone" or (before.kind, before.reason) == (kind, reason):
            return
        since = before.since if before.kind == kind else datetime.now(timezone.utc)
        self._state = ClientState(kind, since, reason)
        call_all(self._state_listeners, self._report, self._state)

    async def _serve(self, link: Link) -> None:
        """Does the due work of a connection until it ends. Only this function subscribes and unsubscribes."""
        while not link.over:
            self._work.clear()
            pause = await self._step(link)
            if pause > 0 and not link.over:
                try:
                    await asyncio.wait_for(self._work.wait(), pause)
                except TimeoutError:
                    pass

    async def _step(self, link: Link) -> float:
        """Does one piece of work. Returns the time until the next one in seconds; 0: at once."""
        prepared = self._preparing or (self._next and not self._next[0].over) or self._stopping.is_set()
        if link.closing and not prepared:
            link.closing = False
            self._preparing = asyncio.create_task(self._prepare(link))
        if self._leftovers:
            leftovers, self._leftovers = self._leftovers, []
            await self._unsubscribe(link, leftovers)
            return 0
        entries = list(self._topics.values())
        unused = [entry for entry in entries if not entry.subscriptions]
        if unused:
            for entry in unused:
                del self._topics[entry.key]
                self._missed.pop(entry, None)
            await self._unsubscribe(link, [entry for entry in unused if entry.state == "active"])
            return 0
        if self._notices:
            await self._recover(link, self._notices.pop(0))
            return 0
        pending = [entry for entry in entries if entry.state == "pending"]
        now = time.monotonic()
        due = [entry for entry in pending if entry.due <= now]
        if due:
            if self._state.kind == "right":
                self._show("subscribing")
            await self._subscribe(link, self._batch(due))
            return 0
        if self._snapshots_under_way:
            # The server answers the next call when the client has taken the snapshots.
            self._snapshots_under_way = False
            await link.call("AvailableSubscriptions")
            return 0
        if self._missed and not self._reloading and self._reload_due <= now:
            self._reloading = asyncio.create_task(self._reload())
        if pending:
            self._show(pending[0].reason)
        elif self._reloading:
            self._show("reloading")
        elif not self._missed:
            self._set("right")
        times = [entry.due for entry in pending] + ([self._reload_due] if self._missed else [])
        return max(0.001, min([60, *(each - now for each in times)]))

    def _batch(self, entries: list[TopicEntry]) -> list[TopicEntry]:
        size = 0
        for i, entry in enumerate(entries):
            size += entry.bytes
            if i > 0 and (i >= self._batch_items or size > self._batch_bytes):
                return entries[:i]
        return entries

    async def _subscribe(self, link: Link, batch: list[TopicEntry]) -> None:
        try:
            results = await link.call("Subscribe", [entry.item for entry in batch])
        except Exception as error:
            for entry in batch if not link.over else ():
                self._postpone(entry, text_of(error))
            return
        if link.over:
            return
        codes = [_code_of(results, i) for i in range(len(batch))]
        limit = codes.index("limit") if "limit" in codes else -1
        # Either the call had too many items, or there are too many subscriptions: the rest in another call shows it.
        if limit > 0:
            self._batch_items = min(self._batch_items, limit)
        elif limit == 0:
            self._batch_items = self._most_items
        for i, (entry, code) in enumerate(zip(batch, codes)):
            if code == "ok":
                self._grant(entry)
            elif code == "limit" and limit > 0:
                entry.due = 0
            elif code == "unavailable":
                self._postpone(entry, "Temporarily unavailable")
            else:
                entry.set("refused", code, results[i].get("traceId") or "")

    def _grant(self, entry: TopicEntry) -> None:
        entry.failures = 0
        if entry.keys is not None:
            self._snapshots_under_way = True
        if entry.gap:
            self._must_reload(entry, *entry.gap)
        entry.gap = None
        entry.set("active")

    def _postpone(self, entry: TopicEntry, why: str) -> None:
        entry.failures += 1
        entry.due = time.monotonic() + retry_delay(entry.failures)
        entry.set("pending", why)

    async def _unsubscribe(self, link: Link, entries: list[TopicEntry]) -> None:
        while entries and not link.over:
            batch = self._batch(entries)
            entries = entries[len(batch):]
            await link.call("Unsubscribe", [entry.item for entry in batch])

    async def _recover(self, link: Link, notice: dict[str, Any]) -> None:
        """Requests the states that a loss may concern, and notes the topics that the application has to reload."""
        if notice["reason"] == "unavailable":
            # Nothing was lost: the server can decide again.
            for entry in self._topics.values():
                entry.due = 0
            return
        self._show(f"events were lost: {notice['reason']}")
        await self._unsubscribe(link, self._lose(notice))

    def _lose(self, notice: dict[str, Any]) -> list[TopicEntry]:
        """Notes a loss. Returns the topics that became pending: the server sends their states again."""
        since, reason = _time_of(notice["from"]), notice["reason"]
        again = []
        for entry in _named(notice, self._topics.values()):
            if entry.state == "active" and entry.keys is None:
                self._must_reload(entry, since, reason)
            elif entry.state in ("pending", "active"):
                entry.miss(since, reason)
            if entry.state == "active" and entry.keys is not None:
                again.append(entry)
                entry.due = 0
                entry.set("pending", reason)
        return again

    def _must_reload(self, entry: TopicEntry, since: float, reason: str) -> None:
        if self._reloads:
            self._missed[entry] = min(since, self._missed.get(entry, since))
            self._missed_reason = reason

    async def _reload(self) -> None:
        missed, self._missed = self._missed, {}
        since = min(missed.values())
        reason = self._missed_reason
        discontinuity = Discontinuity(
            reason,
            datetime.fromtimestamp(since, timezone.utc) if math.isfinite(since) else None,
            tuple(entry.topic for entry in missed),
        )
        try:
            for reload in list(self._reloads):
                answer = reload(discontinuity)
                if inspect.isawaitable(answer):
                    await answer
            self._reload_failures, self._reload_due = 0, 0.0
        except Exception as error:
            self._report(error)
            for entry, start in missed.items():
                if entry.subscriptions:
                    self._must_reload(entry, start, reason)
            self._reload_due = time.monotonic() + retry_delay(self._reload_failures)
            self._reload_failures += 1
        self._reloading = None
        self._work.set()

    def _receive(self, message: dict[str, Any]) -> None:
        subscribed, event = message["subscription"], message["data"]
        entry = self._topics.get(key_of(subscribed["entityId"], subscribed["eventType"]))
        if entry is None or not entry.subscriptions or self._is_duplicate(entry, message):
            return
        handlers = [each._handler for each in entry.subscriptions if each._handler]
        handlers += self._handlers.get(subscribed["eventType"].lower(), []) + self._handlers.get("", [])
        call_all(handlers, self._report, event)
        if entry.keys is not None:
            entry.changed()

    def _key(self, message: dict[str, Any]) -> tuple[int, str]:
        """Returns the topic of an event, by its serial number, and the id of the event; empty: it has none."""
        subscribed = message["subscription"]
        entry = self._topics.get(key_of(subscribed["entityId"], subscribed["eventType"]))
        return entry.serial if entry else -1, str(message["data"].get("id") or "")

    def _is_duplicate(self, entry: TopicEntry, message: dict[str, Any]) -> bool:
        """Reports whether the topic had this event before. A snapshot may be the state that the client has."""
        key = self._key(message)
        if key in self._seen or not entry.keep(message["data"]):
            return True
        if key[1]:
            self._seen[key] = None
            if len(self._seen) > _MAX_SEEN:
                del self._seen[next(iter(self._seen))]
        return False

    def _drop(self, notice: dict[str, Any]) -> None:
        """Ends subscriptions that the server no longer allows. If it does not name all, a new call shows them."""
        for entry in _named({**notice, "total": 0}, self._topics.values()):
            entry.set("ended", notice["code"])
        if notice["total"] > len(notice["subscriptions"]):
            for entry in self._topics.values():
                if entry.state == "active":
                    entry.set("pending", notice["code"])
        self._work.set()


def _named(notice: dict[str, Any], entries: Iterable[TopicEntry]) -> list[TopicEntry]:
    """Returns the topics that a notice concerns: all, if it cannot name all."""
    subscriptions = notice["subscriptions"]
    names = {key_of(each["entityId"], each["eventType"]) for each in subscriptions}
    return [entry for entry in entries if notice["total"] > len(subscriptions) or entry.key in names]


def _code_of(results: list[dict[str, Any]], i: int) -> str:
    result = results[i] if i < len(results) else {}
    if result.get("subscribed"):
        return "ok"
    # Servers without notices send no codes.
    code = result.get("code") or result.get("message") or "unavailable"
    return "unavailable" if code == "Temporarily unavailable" else str(code)


def _time_of(text: str | None) -> float:
    if text is None:
        return -math.inf
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _must_be_plain(handler: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(handler):
        raise TypeError("a handler must not be a coroutine: it may start a task")
