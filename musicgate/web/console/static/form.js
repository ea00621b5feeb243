// The fields of a request, made from its schema and from what the chosen model declares.
import { hintsOf, groupsOf, offersOf, providerOf, labelOf } from "./catalogue.js";
import { html, useEffect, useState } from "./html.js";
import { label, rates, span } from "./format.js";
import { JSON_TYPES, neutralFields, optionBlocks } from "./request.js";

const LONG_TEXTS = { prompt: 3, lyrics: 4, style: 2 };
const LIMITS = { prompt: "prompt_characters", lyrics: "lyrics_characters", style: "style_characters", title: "title_characters" };
// Fields that need no ability of the model: the gateway converts.
const ALWAYS = new Set(["format"]);

export function isSupported(name, offers) {
  return ALWAYS.has(name) || offers.some((offer) => offer.abilities.includes(name));
}

// A labelled input with its hint, and what the server says about it.
export function Field({ name, title, hint, errors, warnings, count, children }) {
  const id = `field-${name.replaceAll(/\W/g, "-")}`;
  const about = [hint && `${id}-hint`, errors && `${id}-error`, warnings && `${id}-warning`].filter(Boolean).join(" ");
  const props = { id, name, "aria-describedby": about || undefined, "aria-invalid": errors ? "true" : undefined };
  return html`
    <div class="field ${errors ? "has-error" : ""}" data-field=${name}>
      <div class="field-head">
        <label for=${id}>${title}</label>
        ${count && html`<span class="fine ${count.isOver ? "over" : ""}">${count.text}</span>`}
      </div>
      ${children(props)}
      ${errors && html`<p class="error" id="${id}-error">${errors.join(" ")}</p>`}
      ${warnings && html`<p class="warning" id="${id}-warning">${warnings.join(" ")}</p>`}
      ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    </div>
  `;
}

export function ModelFields({ found, draft, onChange, messages, prefix = "", title = "Model" }) {
  const offers = offersOf(found, draft.model);
  const chosen = offersOf(found, draft.model, draft.plugin);
  return html`
    <${Field} name="${prefix}model" title=${title} errors=${messages?.errors.get("model")} hint=${factsOf(found, chosen)}>
      ${(props) => html`
        <select ...${props} value=${draft.model} onChange=${(event) => onChange({ model: event.currentTarget.value, plugin: "" })}>
          ${groupsOf(found).map(
            ([group, models]) => html`
              <optgroup key=${group} label=${group}>
                ${models.map((model) => html`<option key=${model.id} value=${model.id}>${model.id}${model.offers.some((offer) => offer.configured) ? "" : " (no key)"}</option>`)}
              </optgroup>
            `,
          )}
        </select>
      `}
    <//>
    ${offers.length > 1 &&
    html`
      <${Field} name="${prefix}provider" title="Provider" errors=${messages?.errors.get("provider")}>
        ${(props) => html`
          <select ...${props} value=${draft.plugin} onChange=${(event) => onChange({ plugin: event.currentTarget.value })}>
            <option value="">Any of ${offers.length}, best first</option>
            ${offers.map((offer) => html`<option key=${offer.provider_plugin} value=${offer.provider_plugin}>${labelOf(found, offer.provider_plugin)}${offer.configured ? "" : " (no key)"}</option>`)}
          </select>
        `}
      <//>
    `}
  `;
}

// What is known of a model before it is asked: price, tracks, formats, time.
function factsOf(found, offers) {
  const [offer] = [...offers].sort((a, b) => Boolean(b.pricing) - Boolean(a.pricing));
  if (!offer) return null;
  const typicalS = providerOf(found, offer.provider_plugin)?.typical_seconds;
  return [
    rates(offer.pricing) ?? "price not published",
    `${offer.tracks} ${offer.tracks === 1 ? "track" : "tracks"}`,
    offer.formats.join(", "),
    typicalS && `usually ${span(typicalS)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

// `isCompact`: all but the prompt can be folded away.
export function NeutralFields({ found, offers, draft, onChange, messages, isCompact = false }) {
  const set = (name) => (event) => onChange({ values: { ...draft.values, [name]: event.currentTarget.value } });
  const field = ([name, rule]) => html`
    <${NeutralField} key=${name} name=${name} rule=${rule} value=${draft.values[name] ?? ""} onInput=${set(name)} messages=${messages} offers=${offers} />
  `;
  const all = neutralFields(found.schema);
  const supported = all.filter(([name]) => isSupported(name, offers));
  const others = all.filter(([name]) => !isSupported(name, offers));
  const isLong = ([name]) => name in LONG_TEXTS;
  const othersUsed = others.some(([name]) => draft.values[name] || messages.errors.has(name));
  const prompt = field(["prompt", found.schema.properties.prompt]);
  const fields = html`
    ${supported.filter(isLong).reverse().map(field)}
    <div class="grid">${supported.filter((item) => !isLong(item)).map(field)}</div>
    ${others.length > 0 &&
    html`
      <details open=${othersUsed || undefined}>
        <summary>Not supported by this model (${others.length})</summary>
        <p class="hint">The provider is asked without them, and the answer warns about it.</p>
        ${others.filter(isLong).map(field)}
        <div class="grid">${others.filter((item) => !isLong(item)).map(field)}</div>
      </details>
    `}
  `;
  if (!isCompact) return html`${prompt}${fields}`;
  const isUsed = all.some(([name]) => draft.values[name] || messages.errors.has(name));
  return html`
    ${prompt}
    <details open=${isUsed || undefined}>
      <summary>${supported.map(([name]) => label(name)).join(", ")}</summary>
      <div class="stack">${fields}</div>
    </details>
  `;
}

function NeutralField({ name, rule, value, onInput, messages, offers }) {
  const limits = offers.map((offer) => offer.limits[LIMITS[name]]).filter(Boolean);
  const most = limits.length ? Math.max(...limits) : null;
  const length = [...value].length;
  const count = most && value ? { text: `${length} / ${most}`, isOver: length > most } : null;
  return html`
    <${Field}
      name=${name} title=${label(name)} hint=${rule.enum || rule.type === "boolean" ? null : firstSentence(rule.description)} count=${count}
      errors=${messages.errors.get(name)} warnings=${messages.warnings.get(name)}
    >
      ${(props) => input(props, name, rule, value, onInput)}
    <//>
  `;
}

function input(props, name, rule, value, onInput) {
  if (name in LONG_TEXTS) return html`<textarea ...${props} rows=${LONG_TEXTS[name]} value=${value} onInput=${onInput}></textarea>`;
  if (rule.enum) return html`<${Select} props=${props} value=${value} onInput=${onInput} choices=${rule.enum.map((item) => [item, names(name, item)])} />`;
  if (rule.type === "boolean") {
    const choices = name === "instrumental" ? ["Yes, no voice", "No, with a voice"] : ["Yes", "No"];
    return html`<${Select} props=${props} value=${value} onInput=${onInput} choices=${[["true", choices[0]], ["false", choices[1]]]} />`;
  }
  const mode = rule.type === "integer" ? "numeric" : undefined;
  return html`<input ...${props} type="text" inputmode=${mode} autocomplete="off" value=${value} onInput=${onInput} />`;
}

function names(field, value) {
  return field === "vocal_gender" ? { m: "Male", f: "Female" }[value] ?? value : value;
}

function Select({ props, value, onInput, choices, none = "Provider’s choice" }) {
  return html`
    <select ...${props} value=${value} onChange=${onInput}>
      <option value="">${none}</option>
      ${choices.map(([choice, text]) => html`<option key=${choice} value=${choice}>${text}</option>`)}
    </select>
  `;
}

export function VendorOptions({ found, offers, draft, onChange, messages }) {
  return optionBlocks(offers, found.providers).map(
    ([block, fields]) => html`
      <${VendorBlock} key=${block} block=${block} fields=${fields} found=${found} draft=${draft} onChange=${onChange} messages=${messages} />
    `,
  );
}

function VendorBlock({ block, fields, found, draft, onChange, messages }) {
  const [isOpen, setOpen] = useState(false);
  const [hints, setHints] = useState({});
  const chosen = draft.options[block] ?? {};
  const hasError = [...messages.errors.keys()].some((name) => name === block || name.startsWith(`${block}.`));
  const isShown = isOpen || hasError;
  useEffect(() => {
    let isGone = false;
    if (isShown) hintsOf(block).then((texts) => isGone || setHints(texts), () => {});
    return () => {
      isGone = true;
    };
  }, [block, isShown]);
  const set = (name) => (event) =>
    onChange({ options: { ...draft.options, [block]: { ...chosen, [name]: event.currentTarget.value } } });
  const used = Object.values(chosen).filter((text) => text !== "").length;
  return html`
    <details open=${isShown || undefined} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>Options of ${block} alone (${used ? `${used} of ${fields.length} set` : fields.length})</summary>
      <p class="hint">They take precedence over the fields above.</p>
      ${messages.errors.get(block) && html`<p class="error">${messages.errors.get(block).join(" ")}</p>`}
      <div class="grid">
        ${isShown &&
        fields.map((field) => {
          const name = `${block}.${field.name}`;
          return html`
            <${Field}
              key=${name} name=${name} title=${label(field.name)} hint=${optionHint(field, hints[field.name])}
              errors=${messages.errors.get(name)} warnings=${messages.warnings.get(name)}
            >
              ${(props) => optionInput(props, field, chosen[field.name] ?? "", set(field.name))}
            <//>
          `;
        })}
      </div>
    </details>
  `;
}

function optionInput(props, field, value, onInput) {
  if (field.type === "choice") {
    const choices = field.choices.map((choice) => [String(choice), String(choice)]);
    return html`<${Select} props=${props} value=${value} onInput=${onInput} choices=${choices} none="Not set" />`;
  }
  if (field.type === "flag") {
    return html`<${Select} props=${props} value=${value} onInput=${onInput} choices=${[["true", "Yes"], ["false", "No"]]} none="Not set" />`;
  }
  if (JSON_TYPES.has(field.type)) {
    return html`<textarea ...${props} rows="2" spellcheck="false" class="code" placeholder="JSON" value=${value} onInput=${onInput}></textarea>`;
  }
  const mode = field.type === "number" ? "decimal" : undefined;
  return html`<input ...${props} type="text" inputmode=${mode} autocomplete="off" value=${value} onInput=${onInput} />`;
}

// What is declared of an option: its bounds, and when it may be used.
function optionHint(field, description) {
  const bounds = [
    field.minimum !== undefined && `at least ${field.minimum}`,
    field.maximum !== undefined && `at most ${field.maximum}`,
    field.max_chars !== undefined && `at most ${field.max_chars} characters`,
    field.max_items !== undefined && `at most ${field.max_items} items`,
    field.needs?.length && `needs ${field.needs.join(", ")}`,
    field.when && `with ${Object.entries(field.when).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ")}`,
  ].filter(Boolean);
  return [firstSentence(description), bounds.length && `${label(bounds.join("; "))}.`].filter(Boolean).join(" ") || null;
}

function firstSentence(text) {
  return text ? /^.*?\.(?=\s|$)/s.exec(text)?.[0] ?? text : null;
}
