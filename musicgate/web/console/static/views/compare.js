// One request to two models at once: their plans, then their songs with cost and time, side by side.
import { catalogue, firstModel, labelOf, offersOf } from "../catalogue.js";
import { create } from "../create.js";
import { ModelFields, NeutralFields } from "../form.js";
import { costOf, dollars, isOpen, span } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Busy, Elapsed, Heading, Problem, Status, elapsedOf, useIsShown } from "../parts.js";
import { Plan, usePlan } from "../plan.js";
import { buildRequest, emptyDraft, labelled, messagesByField, neutralFields, placesOf } from "../request.js";
import { go } from "../router.js";
import { Store, useStore } from "../store.js";
import { Cancel, Failure, Progress, Tracks, Warnings, useJob } from "./job.js";

const SIDES = ["A", "B"];
// What is typed stays while other views are shown: { values, sides: [{ model, plugin }, { model, plugin }] }.
const draft = new Store(null);

function begin(found) {
  const first = firstModel(found);
  return { values: {}, sides: [first, firstModel(found, first)].map((model) => ({ model, plugin: "" })) };
}

export function Compare() {
  const found = useStore(catalogue);
  const current = useStore(draft) ?? begin(found);
  const [refusals, setRefusals] = useState([null, null]);
  const [isSending, setSending] = useState(false);
  const form = useRef(null);
  const isHere = useIsShown();
  const change = (changes) => {
    draft.set({ ...current, ...changes });
    setRefusals([null, null]);
  };
  const isBegun = ["prompt", "style", "lyrics"].some((name) => current.values[name]);
  const sides = current.sides.map((side) => {
    const offers = offersOf(found, side.model, side.plugin);
    const { body } = buildRequest({ ...emptyDraft(side.model), ...side, values: current.values }, found.schema, offers, found.providers);
    return { offers, body };
  });
  const plans = [usePlan(sides[0].body, false, isBegun), usePlan(sides[1].body, false, isBegun)];
  const isShown = (name) => name === "prompt" || neutralFields(found.schema).some(([field]) => field === name);
  const told = (at) => refusals[at] ?? (isBegun ? plans[at].error : null);
  const places = SIDES.flatMap((side, at) => placesOf(told(at), isShown).map((place) => ({ ...place, message: `${side}: ${place.message}` })));
  const warnings = SIDES.flatMap((side, at) =>
    (isBegun ? plans[at].plan?.candidates[0]?.warnings ?? [] : []).map((warning) => ({ ...warning, message: `${side}: ${warning.message}.` })),
  );
  const messages = { errors: messagesByField(places, isShown), warnings: messagesByField(warnings, isShown) };

  const prices = plans.map(({ plan, error }) => (isBegun && !error ? plan?.candidates[0]?.price?.total_nanos : undefined));
  const total = prices.every(Number.isFinite) ? ` for ${dollars((prices[0] + prices[1]) / 1e9)}` : "";

  const submit = async (event) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    setRefusals([null, null]);
    const comparison = crypto.getRandomValues(new Uint32Array(2)).join("");
    const made = await Promise.allSettled(sides.map(({ body }) => create(labelled(body, { comparison }))));
    const ids = made.map((result) => result.value?.id ?? result.reason?.musicId);
    if (!isHere.current) return undefined;
    if (ids.every(Boolean)) return go(`compare/${ids.join("/")}`);
    setRefusals(made.map((result) => result.reason ?? null));
    setSending(false);
  };
  useEffect(() => {
    if (refusals.some(Boolean)) form.current.querySelector("[aria-invalid=true]")?.focus();
  }, [refusals]);
  const setSide = (at) => (changes) => change({ sides: current.sides.map((side, index) => (index === at ? { ...side, ...changes } : side)) });

  return html`
    <${Heading} title="Compare" />
    <p class="lead">The same request to two models, to be judged by ear. Both are made, and both are paid.</p>
    <form ref=${form} onSubmit=${submit} novalidate>
      <div class="card">
        <${NeutralFields}
          isCompact found=${found} offers=${sides.flatMap(({ offers }) => offers)} draft=${{ values: current.values }} messages=${messages}
          onChange=${({ values }) => change({ values })}
        />
      </div>
      <div class="halves">
        ${SIDES.map(
          (name, at) => html`
            <section key=${name} class="card" aria-label=${`Side ${name}`}>
              <${ModelFields} found=${found} draft=${current.sides[at]} onChange=${setSide(at)} prefix=${name} title=${`Model ${name}`} />
              <div aria-live="polite"><${Plan} found=${found} ...${plans[at]} plan=${isBegun ? plans[at].plan : null} error=${told(at)} isShown=${isShown} /></div>
            </section>
          `,
        )}
      </div>
      <button class="primary" type="submit" aria-disabled=${isSending ? "true" : undefined}>${isSending ? "Sending …" : `Make both${total}`}</button>
    </form>
  `;
}

export function Comparison({ ids }) {
  const found = useStore(catalogue);
  const sides = [useJob(ids[0]), useJob(ids[1])];
  const jobs = sides.map((side) => side.job);
  const prompt = jobs.find((job) => job?.metadata?.prompt)?.metadata.prompt;
  return html`
    <${Heading} title="Comparison"><a class="button" href="#/compare">Compare again</a><//>
    ${prompt && html`<p class="lead">${prompt}</p>`}
    <${Verdict} jobs=${jobs} found=${found} />
    <div class="halves">
      ${sides.map(
        ({ job, error, refresh }, at) => html`
          <section key=${ids[at]} class="card" aria-label=${`Side ${SIDES[at]}`}>
            ${!job
              ? error
                ? html`<${Problem} error=${error} />`
                : html`<${Busy} />`
              : html`
                  <div class="split"><h2><span class="side-name">${SIDES[at]}</span> ${job.public_model}</h2><${Status} job=${job} /></div>
                  <p class="fine">${labelOf(found, job.provider_plugin)}</p>
                  ${isOpen(job) && html`<${Progress} job=${job} found=${found} />`}
                  ${job.error && html`<${Failure} error=${job.error} />`}
                  <${Tracks} job=${job} />
                  <${Warnings} job=${job} />
                  <${Problem} error=${error} />
                  <div class="actions">${isOpen(job) && html`<${Cancel} job=${job} onDone=${refresh} />`}<a href="#/jobs/${job.id}">The whole story</a></div>
                `}
          </section>
        `,
      )}
    </div>
  `;
}

function Verdict({ jobs, found }) {
  const rows = [
    ["Cost", (job) => costOf(job) ?? (isOpen(job) ? "…" : job.error?.may_have_cost === false ? "nothing" : "not known"), (job) => job.usage?.pricing_breakdown?.total_nanos],
    ["Time", (job) => html`<${Elapsed} job=${job} />`, (job) => (isOpen(job) ? undefined : elapsedOf(job, 0))],
    ["Audio", (job) => (job.usage?.output_audio_seconds ? `${job.output.length} × ${span(job.usage.output_audio_seconds / job.output.length)}` : isOpen(job) ? "…" : "–")],
    ["Loudness", (job) => { const said = job.output?.[0]?.audio?.loudness_lufs; return said === undefined ? (isOpen(job) ? "…" : "–") : `${said.toFixed(1).replace("-", "−")} LUFS`; }],
  ];
  const isBest = (value, at) => {
    const figures = jobs.map((job) => (job?.status === "completed" && value ? value(job) : undefined));
    return figures.every(Number.isFinite) && figures[at] < figures[1 - at];
  };
  return html`
    <div class="scroll card" tabindex="0" role="region" aria-label="Cost and time">
      <table class="verdict">
        <thead><tr><td></td>${jobs.map((job, at) => html`<th key=${at} scope="col">${SIDES[at]}${job && html` <span class="fine">${job.public_model}</span>`}</th>`)}</tr></thead>
        <tbody>
          ${rows.map(
            ([name, show, value]) => html`
              <tr key=${name}>
                <th scope="row">${name}</th>
                ${jobs.map((job, at) => html`<td key=${at} class=${isBest(value, at) ? "best" : ""}>${job ? show(job) : "…"}${isBest(value, at) && html`<span class="unseen"> (less)</span>`}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
