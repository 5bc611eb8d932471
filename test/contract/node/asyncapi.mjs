// Parses an AsyncAPI document and prints the diagnostics of the parser and the parsed parts.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
console.log(
  JSON.stringify({
    diagnostics: diagnostics.map((d) => ({ severity: d.severity, code: d.code, message: d.message, path: d.path.join(".") })),
    operations: document?.operations().all().map((o) => ({
      id: o.id(),
      action: o.action(),
      messages: o.messages().all().length,
      replies: o.reply()?.messages().all().length ?? 0,
    })),
    security: document?.securitySchemes().all().map((s) => s.id()),
  }),
);
