// Validates with Ajv against the published schemas in ../../src.
//
// Reads one query per line: {"schema": "<$id>" or {a whole schema}, "instance": ..., "formats": true to assert format}.
// Writes one line each: {"paths": [...]}, the JSON Pointers of what is refused (none: valid), or
// {"error": "why it cannot be compiled"}.

import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const folder = new URL("../../src/musicgate_schemas/v1/", import.meta.url);
const published = readdirSync(fileURLToPath(folder), { recursive: true })
  .filter((name) => name.endsWith(".json"))
  .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));

function compiler(formats, schemas) {
  // Strict, with two exceptions: a type may be a list (["string", "null"]), and a condition (if, then, not) may
  // require a property that is declared beside it.
  const ajv = new Ajv2020({
    strict: true,
    allowUnionTypes: true,
    strictRequired: false,
    allErrors: true,
    validateFormats: formats,
  });
  if (formats) addFormats(ajv);
  // Adding and compiling both throw if a schema breaks the official meta-schema, which comes with Ajv.
  for (const schema of schemas) ajv.addSchema(schema);
  return ajv;
}

const known = new Map([true, false].map((formats) => [formats, compiler(formats, published)]));

function answer({ schema, instance, formats = false }) {
  try {
    // No loadSchema is given: a $ref that is not among these schemas is an error, and nothing is fetched.
    const validate =
      typeof schema === "string"
        ? known.get(formats).getSchema(schema)
        : compiler(formats, []).compile(schema);
    if (validate === undefined) return { error: `no schema ${schema}` };
    validate(instance);
    return { paths: (validate.errors ?? []).map((error) => error.instancePath) };
  } catch (error) {
    return { error: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(answer(JSON.parse(line))));
}
