// From what is typed into a form to the body of a request, and from errors and warnings back to fields.

// Keys of a request that are no field of the form, or have a place of their own in it.
const NOT_FIELDS = new Set([
  ...["model", "prompt", "provider", "debug", "meta", "echo_upstream_request", "metadata", "webhook_url"],
]);
const PROMPT_CHARS = 200;

export function emptyDraft(model) {
  return { model, plugin: "", values: {}, options: {}, webhookUrl: "", isStrict: false };
}

// The neutral fields that the schema declares: [name, schema], without the blocks of providers.
export function neutralFields(schema) {
  return Object.entries(schema.properties).filter(([name, rule]) => !NOT_FIELDS.has(name) && !rule.$ref);
}

// Returns { body, problems }: problems are [{ path, message }] that only this page can see.
export function buildRequest(draft, schema, offers, providers) {
  const body = { model: draft.model };
  const problems = [];
  if (draft.values.prompt) body.prompt = draft.values.prompt;
  for (const [name, rule] of neutralFields(schema)) {
    const text = draft.values[name] ?? "";
    if (text !== "") body[name] = typed(text, rule.type);
  }
  if (draft.plugin) body.provider = { only: [draft.plugin] };
  for (const [block, fields] of optionBlocks(offers, providers)) {
    const chosen = {};
    for (const field of fields) {
      const text = draft.options[block]?.[field.name] ?? "";
      if (text === "") continue;
      if (field.type === "choice") chosen[field.name] = field.choices.find((choice) => String(choice) === text) ?? text;
      else if (JSON_TYPES.has(field.type)) {
        try {
          chosen[field.name] = JSON.parse(text);
        } catch (error) {
          problems.push({ path: [block, field.name], message: `This is not JSON: ${error.message}` });
        }
      } else chosen[field.name] = typed(text, { flag: "boolean", number: "number" }[field.type] ?? "string");
    }
    if (Object.keys(chosen).length) body[block] = chosen;
  }
  if (draft.webhookUrl) body.webhook_url = draft.webhookUrl;
  return { body, problems };
}

// What the job is found by later, since a job does not repeat its request.
export function labelled(body, more = {}) {
  const prompt = body.prompt || body.style || body.lyrics;
  const metadata = { ...(prompt ? { prompt: [...prompt].slice(0, PROMPT_CHARS).join("") } : {}), ...more };
  return Object.keys(metadata).length ? { ...body, metadata } : body;
}

export const JSON_TYPES = new Set(["structure", "array", "plan"]);

// The options of providers that no neutral field carries: [block, fields], each field once.
export function optionBlocks(offers, providers) {
  const blocks = new Map();
  for (const offer of offers) {
    const block = providers.find((found) => found.provider_plugin === offer.provider_plugin)?.option_block;
    if (!block) continue;
    const fields = blocks.get(block) ?? [];
    const names = new Set(fields.map((field) => field.name));
    for (const field of offer.options ?? []) {
      if (!field.carries.length && !names.has(field.name) && field.name !== "model") {
        names.add(field.name);
        fields.push(field);
      }
    }
    if (fields.length) blocks.set(block, fields);
  }
  return [...blocks];
}

// What cannot be read is sent as it is, so that the server says what is wrong with it.
function typed(text, type) {
  if (type === "boolean") return text === "true";
  if (type !== "integer" && type !== "number") return text;
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? number : text;
}

// Messages by field: "duration", "suno.styleWeight"; "" for those about no field that is shown.
export function messagesByField(items, isShown) {
  const found = new Map();
  for (const item of items) {
    let name = (item.path ?? []).join(".");
    while (name && !isShown(name)) name = name.slice(0, Math.max(0, name.lastIndexOf(".")));
    found.set(name, [...(found.get(name) ?? []), item.message]);
  }
  return found;
}

// The places that an ApiError is about. Some errors have their field in front of the message only.
export function placesOf(error, isShown) {
  if (!error) return [];
  if (error.details?.length) return error.details;
  const named = /^([A-Za-z_][\w.]*): (.*)$/s.exec(error.message);
  if (named && isShown(named[1])) return [{ path: named[1].split("."), message: named[2] }];
  if (error.reason === "model_required") return [{ path: ["model"], message: error.message }];
  return [{ path: [], message: error.message }];
}
