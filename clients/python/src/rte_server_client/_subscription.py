"""Subscriptions of the application, and the topics that they have in common."""

import asyncio
import itertools
import json
from collections.abc import Callable, Generator
from typing import Any, Literal

from ._state import Topic, call_all
from .events import STATE_KEYS

SubscriptionState = Literal["pending", "active", "refused", "ended"]
"""
- pending: not yet confirmed, or waiting for a new connection or for a server that can decide.
- active: the server sends events.
- refused: the server refused it; `reason` is its code. It is not tried again.
- ended: by unsubscribe, by the server (`reason` is its code), or with the client.
"""

_MAX_STATES = 1000
_STATES = {name.lower(): keys for name, keys in STATE_KEYS.items()}


def key_of(entity_id: str, event_name: str) -> str:
    """Names a topic. The server does not distinguish upper and lower case."""
    return f"{entity_id}/{event_name}".lower()


class TopicEntry:
    """A subscription at the server, for any number of subscriptions of the application to the same topic."""

    _serials = itertools.count()

    def __init__(self, topic: Topic, wake: Callable[[], None]) -> None:
        self.topic = topic
        self.key = key_of(topic.entity_id, topic.event_name)
        self.serial = next(self._serials)
        self.keys = _STATES.get(topic.event_name.lower())
        """The properties that distinguish the states of the entity; None if the event is no state."""
        self.item = {"EntityId": topic.entity_id, "EventName": topic.event_name}
        self.bytes = len(json.dumps(self.item)) + len(", ")
        self.state: SubscriptionState = "pending"
        self.reason = ""
        self.trace_id = ""
        self.due = 0.0
        self.failures = 0
        self.gap: tuple[float, str] | None = None
        """Since when events may be missing, and why. The time may be -inf."""
        self.states: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.subscriptions: set[Subscription] = set()
        self.wake = wake

    def set(self, state: SubscriptionState, reason: str = "", trace_id: str = "") -> None:
        """Changes the state, and reports it to the subscriptions."""
        if (state, reason) == (self.state, self.reason):
            return
        self.state, self.reason, self.trace_id = state, reason, trace_id
        self.changed()

    def changed(self) -> None:
        """Reports a change to the subscriptions."""
        for each in list(self.subscriptions):
            each._changed()

    def miss(self, since: float, reason: str) -> None:
        """Remembers that events may be missing."""
        self.gap = (min(since, self.gap[0]) if self.gap else since, reason)

    def keep(self, event: dict[str, Any]) -> bool:
        """Keeps a state. Returns False if it is the one that was there."""
        if self.keys is None:
            return True
        key = tuple(event.get(name) for name in self.keys)
        before = self.states.get(key)
        if before and event.get("id") and before.get("id") == event["id"]:
            return False
        self.states.pop(key, None)  # so that the newest is the last one
        self.states[key] = event
        if len(self.states) > _MAX_STATES:
            del self.states[next(iter(self.states))]
        return True


class Subscription:
    """
    A subscription to one event of one entity. The client renews it on every connection until it ends. `await` it to
    wait until it is no longer pending for the first time; then look at `state`.
    """

    def __init__(
        self, entry: TopicEntry, handler: Callable[[Any], object] | None, report: Callable[[BaseException], object],
    ) -> None:
        self._entry = entry
        self._handler = handler
        self._report = report
        self._ended = False
        self._ready = asyncio.Event()
        self._listeners: list[Callable[[Subscription], object]] = []

    @property
    def topic(self) -> Topic:
        """The topic of the subscription."""
        return self._entry.topic

    @property
    def state(self) -> SubscriptionState:
        """Whether the server sends events."""
        return "ended" if self._ended else self._entry.state

    @property
    def reason(self) -> str:
        """The code of a refusal, for instance "unauthorized"; why it is pending; otherwise empty."""
        return "unsubscribed" if self._ended else self._entry.reason

    @property
    def trace_id(self) -> str:
        """The id by which the operator finds the reason of a refusal; otherwise empty."""
        return self._entry.trace_id

    @property
    def last(self) -> Any:
        """The last state; None if none arrived, and for events that are no states."""
        return next(reversed(self._entry.states.values()), None)

    def on_change(self, listener: Callable[["Subscription"], object]) -> Callable[[], None]:
        """Calls a function after each change of `state`, `reason` or `last`. Returns a function that ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def unsubscribe(self) -> None:
        """Ends the subscription. Its handler gets no further event."""
        if self._ended:
            return
        self._ended = True
        self._entry.subscriptions.discard(self)
        self._entry.wake()
        self._changed()

    def _changed(self) -> None:
        if self.state != "pending":
            self._ready.set()
        call_all(self._listeners, self._report, self)

    async def _wait(self) -> "Subscription":
        await self._ready.wait()
        return self

    def __await__(self) -> Generator[Any, None, "Subscription"]:
        return self._wait().__await__()
