"""Prints the status of all queues of the demo call centre, and each change."""

import json
import logging
import os
import random
import threading
import time
import urllib.request

from signalrcore.hub_connection_builder import HubConnectionBuilder

SERVER = os.environ.get("RTE_SERVER", "http://127.0.0.1:8080")


def fetch(path):
    with urllib.request.urlopen(SERVER + path, timeout=30) as answer:
        return json.load(answer)


def show(arguments):
    queue = arguments[0]["data"]
    print(f"{queue['queueName']}: {queue['nbrOfQueuingRequesters']} wait", flush=True)


def subscribe(hub, items, ended):
    """Subscribes, and tries again what is temporarily unavailable."""
    def answered(completion):
        results = completion.result or []
        for result in results:
            if not result["subscribed"]:
                print(f"{result['eventName']} of {result['entityId']}: {result['message']}", flush=True)
        again = [item for item, result in zip(items, results) if result["message"] == "Temporarily unavailable"]
        if again:
            threading.Timer(5, lambda: ended.is_set() or subscribe(hub, again, ended)).start()

    hub.send("Subscribe", [items], answered)


def connect_once(items):
    """Connects, and returns when the connection has ended."""
    ended = threading.Event()
    hub = HubConnectionBuilder().with_url(SERVER + "/rte?features=snapshot", options={
        # A new token for each connection.
        "access_token_factory": lambda: fetch("/token/me/rte/")["Token"],
    }).configure_logging(logging.CRITICAL).build()
    hub.on("MessageReceived", show)
    hub.on_open(lambda: subscribe(hub, items, ended))  # a new connection has no subscriptions
    hub.on_close(ended.set)
    hub.start()
    try:
        ended.wait()
    finally:
        hub.stop()


def main():
    queues = [entity for entity in fetch("/demo/entities") if entity["entityType"] == "Queue"]
    items = [{"EntityId": queue["entityId"], "EventName": "QueueStatus"} for queue in queues]
    failures = 0
    while True:
        began = time.monotonic()
        try:
            connect_once(items)
            reason = "the connection has ended"
        except Exception as error:  # whatever the library raises
            reason = error
        failures = 0 if time.monotonic() - began > 10 else failures + 1
        print(f"behind: {reason}", flush=True)
        time.sleep(min(30, 2 ** min(failures, 5)) * random.uniform(0.5, 1))


main()
