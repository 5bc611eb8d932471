package com.github.rteserver.client;

import com.google.gson.JsonObject;
import com.microsoft.signalr.GsonHubProtocol;
import com.microsoft.signalr.HubMessage;
import com.microsoft.signalr.HubProtocol;
import com.microsoft.signalr.InvocationBinder;
import com.microsoft.signalr.InvocationMessage;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;

/**
 * The JSON protocol, which delivers the calls of the server before it returns what follows them. Microsoft's client alone
 * would queue them without a limit for another thread, so that an answer could precede the events before it.
 */
final class InOrder implements HubProtocol {
    private final HubProtocol json = new GsonHubProtocol();
    private final BiConsumer<String, JsonObject> deliver;
    private volatile long received = System.nanoTime();

    InOrder(BiConsumer<String, JsonObject> deliver) {
        this.deliver = deliver;
    }

    /** Returns the time since the last message, also a ping. */
    Duration idle() {
        return Duration.ofNanos(System.nanoTime() - received);
    }

    @Override
    public String getName() {
        return json.getName();
    }

    @Override
    public int getVersion() {
        return json.getVersion();
    }

    @Override
    public List<HubMessage> parseMessages(ByteBuffer payload, InvocationBinder binder) {
        received = System.nanoTime();
        List<HubMessage> messages = json.parseMessages(payload, binder);
        List<HubMessage> rest = new ArrayList<>();
        for (HubMessage message : messages == null ? List.<HubMessage>of() : messages) {
            if (message instanceof InvocationMessage call && call.getArguments().length == 1
                    && call.getArguments()[0] instanceof JsonObject argument) {
                deliver.accept(call.getTarget(), argument);
            } else {
                rest.add(message);
            }
        }
        return rest;
    }

    @Override
    public ByteBuffer writeMessage(HubMessage message) {
        return json.writeMessage(message);
    }
}
