// Make a song: the form, what it would cost, and the create call.
import { catalogue, firstModel, offersOf } from "../catalogue.js";
import { create } from "../create.js";
import { Field, ModelFields, NeutralFields, VendorOptions } from "../form.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Heading, Problem, useIsShown } from "../parts.js";
import { Plan, priceOf, usePlan } from "../plan.js";
import { buildRequest, emptyDraft, labelled, messagesByField, neutralFields, optionBlocks, placesOf } from "../request.js";
import { go } from "../router.js";
import { Store, useStore } from "../store.js";

// What is typed stays while other views are shown.
export const draft = new Store(null);
const WORDS = ["prompt", "style", "lyrics"];

export function Make() {
  const found = useStore(catalogue);
  const current = useStore(draft) ?? emptyDraft(firstModel(found));
  const [refusal, setRefusal] = useState(null);
  const [isSending, setSending] = useState(false);
  const form = useRef(null);
  const isHere = useIsShown();
  const change = (changes) => {
    draft.set({ ...current, ...changes });
    setRefusal(null);
  };

  const offers = offersOf(found, current.model, current.plugin);
  const { body, problems } = buildRequest(current, found.schema, offers, found.providers);
  const isBegun = WORDS.some((name) => current.values[name]) || Object.keys(current.options).length > 0;
  const { plan, error, isStale } = usePlan(body, current.isStrict, isBegun);
  const shown = fieldNames(found, offers);
  const isShown = (name) => shown.has(name);
  const told = refusal ?? (isBegun ? error : null);
  const messages = {
    errors: messagesByField([...placesOf(told, isShown), ...problems], isShown),
    warnings: messagesByField(isBegun ? plan?.candidates[0]?.warnings ?? [] : [], isShown),
  };

  const submit = async (event) => {
    event.preventDefault();
    if (isSending || problems.length) return;
    setSending(true);
    setRefusal(null);
    try {
      const job = await create(labelled(body), current);
      if (isHere.current) go(`jobs/${job.id}`);
    } catch (failed) {
      setRefusal(failed);
      setSending(false);
    }
  };
  // The field that an error is about is where the next key goes.
  useEffect(() => {
    if (refusal) form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [refusal]);

  const general = messages.errors.get("");
  const price = plan?.candidates[0] && isBegun && !error ? priceOf(found, plan.model, plan.candidates[0]) : null;
  return html`
    <${Heading} title="Make a song" />
    <form class="two" ref=${form} onSubmit=${submit} novalidate>
      <div class="card">
        <${ModelFields} found=${found} draft=${current} onChange=${change} messages=${messages} />
        <${NeutralFields} found=${found} offers=${offers} draft=${current} onChange=${change} messages=${messages} />
        <${VendorOptions} found=${found} offers=${offers} draft=${current} onChange=${change} messages=${messages} />
        <details open=${messages.errors.has("webhook_url") || undefined}>
          <summary>Delivery</summary>
          <${Field} name="webhook_url" title="Webhook URL" hint="Told when the song is done, instead of the account’s own." errors=${messages.errors.get("webhook_url")}>
            ${(props) => html`<input ...${props} type="text" inputmode="url" autocomplete="off" value=${current.webhookUrl} onInput=${(event) => change({ webhookUrl: event.currentTarget.value })} />`}
          <//>
          <label class="check">
            <input type="checkbox" checked=${current.isStrict} onChange=${(event) => change({ isStrict: event.currentTarget.checked })} />
            Refuse the request instead of warning about options
          </label>
        </details>
      </div>
      <aside class="card side" aria-label="Plan">
        <h2>What it will be</h2>
        <div aria-live="polite"><${Plan} found=${found} plan=${isBegun ? plan : null} error=${isBegun ? error : null} isStale=${isStale} isShown=${isShown} /></div>
        ${refusal && general && html`<${Problem} error=${refusal}>${refusal.musicId && html`<p><a href="#/jobs/${refusal.musicId}">The story of this job</a></p>`}<//>`}
        <button class="primary" type="submit" aria-disabled=${isSending ? "true" : undefined}>
          ${isSending ? "Sending …" : price?.startsWith("$") && !price.includes(" ") ? `Make it for ${price}` : "Make it"}
        </button>
      </aside>
    </form>
  `;
}

// The names of all fields that can stand beside a message.
export function fieldNames(found, offers) {
  return new Set([
    ...["model", "prompt", "provider", "webhook_url"],
    ...neutralFields(found.schema).map(([name]) => name),
    ...optionBlocks(offers, found.providers).flatMap(([block, fields]) => [block, ...fields.map((field) => `${block}.${field.name}`)]),
  ]);
}
