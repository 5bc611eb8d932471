// Validates events with their schemas. Each line of standard input is {schema, event}; schema is the name of a file with a
// JSON Schema or of a schema of the AsyncAPI document. Each line of output is true or the errors of ajv.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import yaml from "js-yaml";

const [schemaDir, asyncapiFile] = process.argv.slice(2);

const files = new Ajv2020({ strict: true, allowUnionTypes: true });
const { schemas } = yaml.load(readFileSync(asyncapiFile, "utf8")).components;
const components = new Ajv({ strict: true, allowUnionTypes: true });

for (const ajv of [files, components]) {
  // Formats of OpenAPI. The schemas also have the bounds of 32 bits, and JavaScript has no others.
  for (const name of ["int32", "int64"]) ajv.addFormat(name, { type: "number", validate: Number.isInteger });
}

const compiled = new Map();
function validator(name) {
  if (!compiled.has(name)) {
    compiled.set(
      name,
      name.endsWith(".schema.json")
        ? files.compile(JSON.parse(readFileSync(`${schemaDir}/${name}`, "utf8")))
        : components.compile(schemas[name]),
    );
  }
  return compiled.get(name);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { schema, event } = JSON.parse(line);
  const validate = validator(schema);
  console.log(JSON.stringify(validate(event) || validate.errors.map((e) => `${e.instancePath} ${e.message}`)));
}
