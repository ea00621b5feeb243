// The dry run: who would be asked for a request, in which order, at which price.
import { LostError, call, lost } from "./api.js";
import { labelOf } from "./catalogue.js";
import { html, useEffect, useState } from "./html.js";
import { dollars, rates } from "./format.js";
import { placesOf } from "./request.js";

const WAIT_MS = 350;

// The plan of a request, a moment after it has changed: { plan, error, isStale }.
export function usePlan(body, isStrict, isWanted = true) {
  const [state, setState] = useState({ plan: null, error: null, key: null });
  const isLost = lost.value;
  const key = isWanted ? JSON.stringify([body, isStrict]) : null;
  useEffect(() => {
    if (key === null) return undefined;
    const ended = new AbortController();
    const timer = setTimeout(async () => {
      const headers = isStrict ? { Prefer: "handling=strict" } : {};
      try {
        const plan = await call("v1/music/plan", { method: "POST", body, headers, signal: ended.signal });
        setState({ plan, error: null, key });
      } catch (error) {
        if (!ended.signal.aborted && !(error instanceof LostError)) setState({ plan: null, error, key });
      }
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [key, isLost]);
  return { ...state, isStale: state.key !== key };
}

export function Plan({ found, plan, error, isStale, isShown }) {
  if (error) {
    const general = placesOf(error, isShown).filter((place) => !isShown((place.path ?? []).join(".")));
    return general.length
      ? html`<div class="problem" role="alert">${general.map((place) => html`<p key=${place.message}>${place.message}</p>`)}</div>`
      : html`<p class="empty">The plan comes when the marked fields are mended.</p>`;
  }
  if (!plan) return html`<p class="empty">Describe the music to see who would make it, and at what price.</p>`;
  return html`
    <div class="plan ${isStale ? "stale" : ""}" aria-busy=${isStale ? "true" : "false"}>
      ${plan.candidates.length === 0 && html`<p class="error">No provider can make this.</p>`}
      <ol class="candidates">
        ${plan.candidates.map((candidate, index) => html`<${Candidate} key=${candidate.provider_plugin} found=${found} model=${plan.model} candidate=${candidate} isFirst=${index === 0} />`)}
      </ol>
      ${plan.excluded.length > 0 &&
      html`
        <details>
          <summary>Not asked (${plan.excluded.length})</summary>
          <ul class="plain">
            ${plan.excluded.map((item) => html`<li key=${item.provider_plugin}><strong>${labelOf(found, item.provider_plugin)}</strong> <span class="fine">${item.message}</span></li>`)}
          </ul>
        </details>
      `}
    </div>
  `;
}

function Candidate({ found, model, candidate, isFirst }) {
  return html`
    <li class="candidate ${isFirst ? "first" : ""}">
      <div class="split">
        <strong>${labelOf(found, candidate.provider_plugin)}</strong>
        <span class="price">${priceOf(found, model, candidate)}</span>
      </div>
      <p class="fine">
        ${isFirst ? "Asked first" : "If those above refuse"} · <code>${candidate.native_model}</code>
        ${!candidate.configured && html` · <span class="warning">no key: it is not asked</span>`}
        ${candidate.health && html` · <span class="warning">${candidate.health.state === "open" ? "does not answer now" : "being tried again"}</span>`}
      </p>
      ${candidate.warnings.length > 0 &&
      html`<ul class="warnings">${candidate.warnings.map((warning) => html`<li key=${warning.path.join(".") + warning.message}><code>${warning.path.join(".")}</code> ${warning.message}</li>`)}</ul>`}
    </li>
  `;
}

// The expected price, or the rates where it depends on the length.
export function priceOf(found, model, candidate) {
  if (candidate.price) return dollars(candidate.price.total_usd_str);
  const offers = found.models.find((item) => item.id === model || item.aliases.includes(model))?.offers ?? [];
  return rates(offers.find((offer) => offer.provider_plugin === candidate.provider_plugin)?.pricing) ?? "not published";
}
