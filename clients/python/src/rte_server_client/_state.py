"""States, topics and discontinuities for the application, and small helpers."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

StateKind = Literal["right", "behind", "gone"]
"""
The state that an application shows beside its data.

- right: connected, subscribed to everything that was granted, and nothing is missing.
- behind: the data may be old. The client connects, subscribes, or waits for a reload.
- gone: over. The application stopped the client, there is no token, or the server refused a new token.
"""


@dataclass(frozen=True)
class ClientState:
    """The state of a client."""

    kind: StateKind
    since: datetime
    """When the kind began. It stays while only the reason changes."""
    reason: str
    """Why it is not right, for people; otherwise empty."""


@dataclass(frozen=True)
class Topic:
    """One event of one entity."""

    entity_id: str
    event_name: str


@dataclass(frozen=True)
class Discontinuity:
    """Events that may be missing: fetch the data of the topics from the REST API."""

    reason: str
    """Why: "reconnect" after a lost connection, otherwise the reason of the server's Resync."""
    start: datetime | None
    """No event before this time is missing; None if unknown. After a reconnect by the clock of this machine."""
    topics: tuple[Topic, ...]
    """The topics with missing events. Their last states, where the server has them, have already arrived."""


def retry_delay(failures: int) -> float:
    """Returns pauses in seconds between a half and all of 1, 2, 4 to 30. The first one is anywhere below 1."""
    longest = float(min(30, 2 ** min(failures, 5)))
    return random.uniform(0 if failures == 0 else longest / 2, longest)


def hub_url(url: str) -> str:
    """Returns an address with http or https. It may have any of the schemes wss, ws, https and http, or none."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "https://" + url.lstrip("/")
    return f"{scheme.lower().replace('ws', 'http', 1)}://{rest}"


def text_of(failure: BaseException) -> str:
    """Returns the message of an error, or its name where it has none."""
    return str(failure) or type(failure).__name__


def call_all(
    functions: Iterable[Callable[..., object]], report: Callable[[BaseException], object], *args: Any,
) -> None:
    """Calls functions of the application. An error of one function does not stop the others."""
    for each in list(functions):
        try:
            each(*args)
        except Exception as error:
            report(error)
