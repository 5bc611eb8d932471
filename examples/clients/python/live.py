"""Prints the status of all queues of the demo call centre, and each change."""

import asyncio
import json
import os
import sys
import urllib.request
from typing import Any

from rte_server_client import Discontinuity, RteClient
from rte_server_client.events import QueueStatus

SERVER = os.environ.get("RTE_SERVER", "http://127.0.0.1:8080")


def fetch(path: str) -> Any:
    with urllib.request.urlopen(SERVER + path, timeout=30) as answer:
        return json.load(answer)


def show(queue: QueueStatus) -> None:
    print(f"{queue['queueName']}: {queue['nbrOfQueuingRequesters']} wait", flush=True)


def reload(lost: Discontinuity) -> None:
    print(f"{len(lost.topics)} topics: fetch what they show from the REST API", flush=True)


async def main() -> None:
    client = RteClient(
        lambda reason: fetch("/token/me/rte/"),  # a new token for each connection
        on_error=lambda error: print(error, file=sys.stderr))
    client.on("QueueStatus", show)
    client.on_state(lambda state: print(state.kind, state.reason, flush=True))
    client.on_discontinuity(reload)
    for entity in await asyncio.to_thread(fetch, "/demo/entities"):
        if entity["entityType"] == "Queue":
            client.subscribe(entity["entityId"], "QueueStatus")
    async with client:
        await asyncio.Event().wait()


asyncio.run(main())
