"""Real-time events of a contact centre: typed events, subscriptions that last, and a call when events may be missing."""

from . import events
from ._client import RteClient
from ._state import ClientState, Discontinuity, StateKind, Topic, hub_url, retry_delay
from ._subscription import Subscription, SubscriptionState

__all__ = [
    "ClientState", "Discontinuity", "RteClient", "StateKind", "Subscription", "SubscriptionState", "Topic", "events",
    "hub_url", "retry_delay",
]
