// Providers: whether each has a key, how it is doing, and what is known of it.
import { isAdmin } from "../admin.js";
import { call } from "../api.js";
import { label, rates, span, when } from "../format.js";
import { html, useState } from "../html.js";
import { useLoaded } from "../loading.js";
import { Busy, Heading, Problem } from "../parts.js";
import { catalogue } from "../catalogue.js";
import { useStore } from "../store.js";

const REFRESH_MS = 5000;
const HEALTH = { closed: "Ready", open: "Does not answer", half_open: "Being tried again" };

export function Providers() {
  const found = useStore(catalogue);
  const { data, error } = useLoaded((signal) => call("v1/music/providers", { signal }), [], REFRESH_MS);
  const more = useLoaded((signal) => (isAdmin() ? call("v1/admin/providers", { signal }) : null), [], REFRESH_MS);
  const reportOf = (plugin) => more.data?.data.find((report) => report.provider_plugin === plugin);
  return html`
    <${Heading} title="Providers" />
    <${Problem} error=${error} />
    ${!data && !error && html`<${Busy} />`}
    <div class="cards">
      ${data?.data.map((provider) => html`<${Provider} key=${provider.provider_plugin} provider=${provider} report=${reportOf(provider.provider_plugin)} found=${found} />`)}
    </div>
  `;
}

function Provider({ provider, report, found }) {
  const [isOpen, setOpen] = useState(false);
  const { health } = provider;
  const state = provider.configured ? HEALTH[health?.state] ?? "–" : "No key";
  const kind = !provider.configured ? "cancelled" : { closed: "completed", open: "failed" }[health?.state] ?? "queued";
  const window = provider.create_window;
  const offers = isOpen ? found.models.flatMap((model) => model.offers.filter((offer) => offer.provider_plugin === provider.provider_plugin).map((offer) => [model.id, offer])) : [];
  return html`
    <section class="card" aria-labelledby=${`provider-${provider.provider_plugin}`}>
      <div class="split">
        <h2 id=${`provider-${provider.provider_plugin}`}>${provider.label}</h2>
        <span class="status ${kind}"><span class="dot" aria-hidden="true"></span>${state}</span>
      </div>
      ${!provider.configured && html`<p class="warning">Set <code>${provider.key_setting}</code> to use it.</p>`}
      ${health?.opens_until && html`<p class="warning">Asked after the others until ${when(health.opens_until)}.</p>`}
      <dl class="facts small">
        <div><dt>Last minute</dt><dd>${health?.calls ? `${health.calls} calls, ${Math.round(health.error_rate * 100)} % failed` : "no calls"}</dd></div>
        <div><dt>Waiting</dt><dd>${provider.waiting ?? 0}</dd></div>
        <div><dt>Usually takes</dt><dd>${span(provider.typical_seconds)}</dd></div>
        <div><dt>Given up after</dt><dd>${span(provider.deadline_seconds)}</dd></div>
        <div><dt>Rate</dt><dd>${window ? `${window.calls} creates per ${span(window.seconds)}` : "no limit known"}</dd></div>
        <div><dt>Stage</dt><dd>${provider.stage}</dd></div>
        ${report && html`<div><dt>Open jobs, all accounts</dt><dd>${report.open_jobs}</dd></div>`}
        ${report && Object.entries(report.latency).map(([step, figures]) => html`<div key=${step}><dt>${label(step)}, 95th of 100</dt><dd>${figures.calls ? `${span(figures.p95_seconds ?? NaN)} of ${figures.calls} calls` : "no calls"}</dd></div>`)}
      </dl>
      <details onToggle=${(event) => setOpen(event.currentTarget.open)}>
        <summary>${provider.models.length} ${provider.models.length === 1 ? "model" : "models"}</summary>
        <ul class="plain">
          ${offers.map(([id, offer]) => html`<li key=${id} class="split"><code>${id}</code><span class="fine">${rates(offer.pricing) ?? "price not published"}</span></li>`)}
        </ul>
      </details>
      ${/^https:/.test(provider.docs_url ?? "") && html`<p class="fine"><a href=${provider.docs_url} target="_blank" rel="noreferrer">The vendor’s documentation</a></p>`}
    </section>
  `;
}
