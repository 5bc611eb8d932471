"""The application of ../node/view.mjs with the helper for Python: python app.py TOKEN_URL TRUTH_URL."""

import asyncio
import json
import random
import sys
import urllib.request

from rte_server_client import RteClient

TOKEN_URL, TRUTH_URL = sys.argv[1:]


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def name_of(topic):
    return f"{topic.entity_id} {topic.event_name}"


def number_of(event):
    for name in ("parkedCalls", "nbrOfRequesters", "callerNumber"):
        if event.get(name) is not None:
            return int(event[name])
    raise KeyError("number")


def put(**line):
    print(json.dumps(line), flush=True)


class Application:
    def __init__(self):
        self.reasons = []  # for which the helper requested tokens
        self.states = []
        self.discontinuities = []
        self.errors = []
        self.calls = {}  # numbers of events by topic
        self.delivered = {}  # how often an event came
        self.subscriptions = {}
        self.client = RteClient(
            self.token, server_timeout=4, on_error=lambda error: self.errors.append(repr(error)),
            retry_delay=lambda failures: min(1, 0.1 * 2 ** min(failures, 5)) * random.random())
        for name in ("UserStatus", "QueueStatus", "UserCallInArrived"):
            self.client.on(name, self.receive)
        self.client.on_state(lambda state: self.states.append(f"{state.kind}: {state.reason}"))
        self.client.on_discontinuity(self.reload)

    def token(self, reason):  # in a thread of the helper
        self.reasons.append(reason)
        return fetch(f"{TOKEN_URL}?reason={reason}")

    def add(self, name, number):
        self.calls.setdefault(name, set()).add(number)

    def last(self, name):
        return max(self.calls.get(name, [0]))

    def receive(self, event):
        name, number = f"{event['entityId']} {event['eventType']}", number_of(event)
        key = f"{name} {number}"
        self.delivered[key] = self.delivered.get(key, 0) + 1
        if event["eventType"] == "UserCallInArrived" and number < self.last(name) and number not in self.calls[name]:
            self.errors.append(f"{key} came after {self.last(name)}")
        self.add(name, number)

    async def reload(self, discontinuity):
        names = [name_of(topic) for topic in discontinuity.topics]
        self.discontinuities.append({
            "reason": discontinuity.reason,
            "from": discontinuity.start and discontinuity.start.isoformat(),
            "shown": {name: self.last(name) for name in names},
        })
        truth = await asyncio.to_thread(fetch, TRUTH_URL)
        for name in names:
            for number in truth.get(name, []):
                self.add(name, number)

    async def start(self):
        async def started():
            try:
                await self.client.start()
            except ConnectionError as error:
                put(gone=str(error))
        self.starting = asyncio.create_task(started())

    async def subscribe(self, topics, wait=False):
        for topic in topics:
            subscription = self.client.subscribe(topic["entityId"], topic["eventName"])
            self.subscriptions[name_of(subscription.topic)] = subscription
        if wait:
            for subscription in self.subscriptions.values():
                await subscription

    async def unsubscribe(self, topics):
        for topic in topics:
            self.subscriptions[f"{topic['entityId']} {topic['eventName']}"].unsubscribe()

    async def again(self, topics):
        got = []
        part = self.client.subscribe(
            topics[0]["entityId"], topics[0]["eventName"], lambda event: got.append(number_of(event)))
        await part
        await asyncio.sleep(0)
        part.unsubscribe()
        return got

    async def active(self):
        return len(await self.client.active_subscriptions())

    async def see(self):
        return {
            "state": self.client.state.kind, "reason": self.client.state.reason, "reasons": self.reasons,
            "states": self.states, "discontinuities": self.discontinuities, "errors": self.errors,
            "calls": {name: sorted(numbers) for name, numbers in self.calls.items()},
            "last": {name: self.last(name) for name in self.calls},
            "twice": [key for key, times in self.delivered.items() if times > 1],
            "subscriptions": {name: f"{s.state} {s.reason}".strip() for name, s in self.subscriptions.items()},
        }


async def answer(application, id, do, **arguments):
    try:
        put(id=id, result=await getattr(application, do)(**arguments))
    except Exception as error:
        put(id=id, error=repr(error))


async def main():
    application = Application()
    answers = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(answer(application, **json.loads(line)))
        answers.add(task)
        task.add_done_callback(answers.discard)
    await application.client.stop()


asyncio.run(main())
