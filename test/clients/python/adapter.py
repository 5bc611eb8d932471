"""signalrcore. See ../doc.go for the commands."""

import json
import logging
import sys
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.types import HubProtocolEncoding, HttpTransportType

PATIENCE = 30  # seconds for steps that should happen at once

connections = {}
stdout = threading.Lock()


def tell(**line):
    # JSON has no type for the times of MessagePack.
    text = json.dumps(line, default=lambda time: time.to_datetime().isoformat())
    with stdout:
        print(text, flush=True)


class Connection:
    def __init__(self, number, url, token, protocol, skipNegotiation=False, transport="WebSockets", retryDelays=None, **_):
        self.answers = {}  # waiting callers of invocations, by invocation id
        self.opened = threading.Event()
        builder = HubConnectionBuilder().with_url(url, options={
            "access_token_factory": lambda: token,
            "skip_negotiation": skipNegotiation,
            "transport": HttpTransportType(transport),
        }).configure_logging(logging.CRITICAL)
        binary = protocol == "messagepack"
        builder.with_hub_protocol(HubProtocolEncoding.binary if binary else HubProtocolEncoding.text)
        if retryDelays:
            seconds = [delay / 1000 for delay in retryDelays]
            builder.with_automatic_reconnect({"type": "interval", "intervals": seconds})
        self.hub = builder.build()
        self.hub.on("MessageReceived", lambda args: tell(connection=number, event="message", message=args[0]))
        self.hub.on_open(self.opened.set)
        self.hub.on_reconnect(lambda: tell(connection=number, event="reconnected"))
        self.hub.on_close(lambda: tell(connection=number, event="closed"))
        self.hub.on_error(self.completed)
        self.hub.start()
        if not self.opened.wait(PATIENCE):
            raise TimeoutError("the connection does not open")

    def completed(self, completion):
        waiting = self.answers.pop(completion.invocation_id)
        waiting.completion = completion
        waiting.set()

    def invoke(self, target, args):
        waiting = threading.Event()
        invocation = f"{id(waiting)}"
        self.answers[invocation] = waiting
        self.hub.invoke(target, args, on_invocation=self.completed, invocation_id=invocation)
        if not waiting.wait(PATIENCE):
            raise TimeoutError(f"{target} is not answered")
        if waiting.completion.error:
            raise RuntimeError(waiting.completion.error)
        return waiting.completion.result


def run(do, connection, target=None, args=None, **options):
    if do == "open":
        connections[connection] = Connection(connection, **options)
    elif do == "invoke":
        return connections[connection].invoke(target, args)
    else:
        connections[connection].hub.stop()


def answer(id, **command):
    try:
        tell(id=id, result=run(**command))
    except Exception as error:  # whatever the library raises
        tell(id=id, error=str(error) or repr(error))


tell(protocols=["json", "messagepack"])
for line in sys.stdin:
    threading.Thread(target=answer, kwargs=json.loads(line), daemon=True).start()
