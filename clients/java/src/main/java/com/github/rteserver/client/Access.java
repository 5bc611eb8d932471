package com.github.rteserver.client;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;

/**
 * A token, and the address of the hub; null for the address of {@link RteClientOptions#url}.
 */
public record Access(String token, String url) {
    /** Returns a new token. It runs in a thread of its own. */
    @FunctionalInterface
    public interface Source {
        /**
         * Returns a new token; null means that the user is signed out, and ends the client. An error is a failed attempt:
         * the client tries again. The client calls it for every attempt to connect.
         *
         * @param reason "connect", or "refused" if the server refused the last token
         */
        Access get(String reason) throws Exception;
    }

    /** Reads the answer of the REST API to the request for a token. Both spellings of the address are in use. */
    public static Access parse(String json) {
        JsonElement answer = JsonParser.parseString(json);
        if (!answer.isJsonObject() || text(answer.getAsJsonObject(), "Token") == null) {
            return null;
        }
        JsonObject access = answer.getAsJsonObject();
        String url = text(access, "WssEndpoint");
        return new Access(text(access, "Token"), url == null ? text(access, "WSSEndpoint") : url);
    }

    /** Returns a property; null if it is absent, null or empty. */
    static String text(JsonObject object, String name) {
        JsonElement value = object.get(name);
        return value == null || value.isJsonNull() || value.getAsString().isEmpty() ? null : value.getAsString();
    }
}
