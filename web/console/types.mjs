// Makes generated/operator.d.ts of the OpenAPI document of the operator API: the type of each answer. The type check then
// fails where the console uses what the API does not have.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** typeOf returns the type that a JSON schema describes. */
function typeOf(schema) {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "array":
      return `ReadonlyArray<${typeOf(schema.items)}>`;
    case "object": {
      if (!schema.properties) return "Readonly<Record<string, unknown>>";
      const required = new Set(schema.required);
      const members = Object.entries(schema.properties).map(
        ([name, member]) => `readonly ${JSON.stringify(name)}${required.has(name) ? "" : "?"}: ${typeOf(member)};`,
      );
      return `{ ${members.join(" ")} }`;
    }
    default:
      return schema.type; // string, boolean, null
  }
}

/** writeTypes writes the file. */
export function writeTypes(root) {
  const document = JSON.parse(readFileSync(join(root, "../../api/operator.openapi.json"), "utf8"));
  const lines = ["/** The answers of the operator API, by method and path. */", "export interface Answers {"];
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const schema = operation.responses["200"]?.content?.["application/json"]?.schema;
      if (schema) lines.push(`  "${method.toUpperCase()} ${path}": ${typeOf(schema)};`);
    }
  }
  mkdirSync(join(root, "generated"), { recursive: true });
  writeFileSync(join(root, "generated/operator.d.ts"), [...lines, "}", ""].join("\n"));
}
