// Server-sent events, read by fetch: EventSource cannot send a header with the token.

/** Message is an event of the stream. */
export interface Message {
  readonly event: string;
  readonly data: string;
}

/** longest bounds a line, in characters: a stream without line ends must not fill the memory. */
const longest = 1 << 20;

/** messagesOf reads the messages of a stream until it ends. */
export async function* messagesOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      if (rest.length > longest) throw new Error("The stream has a line that is too long.");
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
          event = "";
          data = [];
        } else if (!line.startsWith(":")) {
          const [, name, text = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
          if (name === "event") event = text;
          if (name === "data") data.push(text);
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
