// The jobs of the account: newest first, by state and model, as many as are scrolled to.
import { LostError, call, lost } from "../api.js";
import { catalogue, labelOf } from "../catalogue.js";
import { clock, costOf, isOpen, shortly, titleOf, when } from "../format.js";
import { Component, html, useEffect, useRef, useState } from "../html.js";
import { Busy, Elapsed, Empty, Heading, Problem, Status } from "../parts.js";
import { go, place } from "../router.js";
import { useStore } from "../store.js";

const PAGE = 50;
const FRESH = 20;
const REFRESH_MS = 4000;
const STATES = [
  ["", "All"],
  ["queued,in_progress", "Open"],
  ["completed", "Completed"],
  ["failed", "Failed"],
];

export function Jobs() {
  const found = useStore(catalogue);
  const { query } = useStore(place);
  const state = query.get("state") ?? "";
  const model = query.get("model") ?? "";
  const { jobs, error, isLoading, hasMore, more } = useJobs(state, model);
  const change = (name, value) => {
    const next = new URLSearchParams(query);
    if (value) next.set(name, value);
    else next.delete(name);
    go("jobs", next);
  };
  return html`
    <${Heading} title="Jobs">
      <div class="filters">
        <fieldset class="segments">
          <legend class="unseen">State</legend>
          ${STATES.map(
            ([value, text]) => html`<label key=${value}><input type="radio" name="state" value=${value} checked=${state === value} onChange=${() => change("state", value)} /><span>${text}</span></label>`,
          )}
        </fieldset>
        <select aria-label="Model" value=${model} onChange=${(event) => change("model", event.currentTarget.value)}>
          <option value="">Every model</option>
          ${found.models.map((item) => html`<option key=${item.id} value=${item.id}>${item.id}</option>`)}
        </select>
      </div>
    <//>
    ${jobs.length > 0 &&
    html`<ul class="jobs" aria-label="Jobs">${jobs.map((job) => html`<${Row} key=${job.id} job=${job} found=${found} />`)}</ul>`}
    <${Problem} error=${error} />
    ${!jobs.length && !error && (isLoading ? html`<${Busy} />` : html`<${Empty}>No job here yet. <a href="#/make">Make a song</a><//>`)}
    ${hasMore && html`<${More} isLoading=${isLoading} onMore=${more} key=${jobs.length} />`}
    ${jobs.length > 0 && html`<p class="fine end" role="status">${jobs.length === 1 ? "1 job" : `${jobs.length} jobs`} shown${hasMore ? "" : ", there are no more"}</p>`}
  `;
}

// What a row shows of a job; the rest of the answer is not kept.
function slim(job) {
  return {
    id: job.id,
    status: job.status,
    error: job.error && { reason: job.error.reason },
    public_model: job.public_model,
    provider_plugin: job.provider_plugin,
    created_at: job.created_at,
    updated_at: job.updated_at,
    completed_at: job.completed_at,
    title: titleOf(job),
    prompt: job.metadata?.prompt !== titleOf(job) ? job.metadata?.prompt : null,
    cost: costOf(job),
    seconds: job.usage?.output_audio_seconds,
    isCompared: Boolean(job.metadata?.comparison),
  };
}

function useJobs(state, model) {
  const [list, setList] = useState({ jobs: [], cursor: undefined });
  const [error, setError] = useState(null);
  const [isLoading, setLoading] = useState(true);
  const current = useRef(list);
  current.current = list;
  const load = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    const filters = { ...(state && { state }), ...(model && { model }) };
    const fetchPage = (extra) => call(`v1/music/generate?${new URLSearchParams({ ...filters, ...extra })}`, { signal: ended.signal });
    let isBusy = false;
    const guarded = async (step) => {
      if (isBusy) return;
      isBusy = true;
      try {
        await step();
        if (!ended.signal.aborted) setError(null);
      } catch (failed) {
        if (!ended.signal.aborted && !(failed instanceof LostError)) setError(failed);
      } finally {
        isBusy = false;
        if (!ended.signal.aborted) setLoading(false);
      }
    };
    load.current = () =>
      guarded(async () => {
        setLoading(true);
        const { cursor } = current.current;
        const page = await fetchPage({ limit: PAGE, ...(cursor && { cursor }) });
        setList((old) => merge(old, page.data.map(slim), page.next_cursor));
      });
    // New jobs appear at the top, and those that were open in their places.
    const refresh = () =>
      guarded(async () => {
        const { jobs, cursor } = current.current;
        if (cursor === undefined) return;
        const page = await fetchPage({ limit: FRESH });
        const fresh = page.data.map(slim);
        const known = new Set(fresh.map((job) => job.id));
        const others = jobs.filter((job) => isOpen(job) && !known.has(job.id)).slice(0, FRESH);
        const read = await Promise.all(others.map((job) => readOne(job, ended.signal)));
        setList((old) => update(old, fresh, new Map(read.filter(Boolean).map((job) => [job.id, job])), state));
      });
    setList({ jobs: [], cursor: undefined });
    current.current = { jobs: [], cursor: undefined };
    setLoading(true);
    load.current();
    const timer = setInterval(() => document.hidden || lost.value || refresh(), REFRESH_MS);
    const unsubscribe = lost.subscribe((isLost) => isLost || (current.current.cursor === undefined ? load.current() : refresh()));
    return () => {
      ended.abort();
      clearInterval(timer);
      unsubscribe();
    };
  }, [state, model]);
  return { jobs: list.jobs, error, isLoading, hasMore: Boolean(list.cursor), more: () => load.current() };
}

async function readOne(job, signal) {
  try {
    return slim(await call(`v1/music/generate/${job.id}`, { signal }));
  } catch (error) {
    if (error.status === 404) return { ...job, isGone: true };
    return null;
  }
}

function merge(old, page, cursor) {
  const known = new Set(old.jobs.map((job) => job.id));
  return { jobs: [...old.jobs, ...page.filter((job) => !known.has(job.id))], cursor };
}

function update(old, fresh, changed, state) {
  const at = new Map(old.jobs.map((job) => [job.id, job]));
  const states = state ? new Set(state.split(",")) : null;
  const kept = (job) => !job.isGone && (!states || states.has(job.status));
  // A row that has not changed stays the same object, so that it is not rendered again.
  const same = (job) => {
    const known = at.get(job.id);
    return known && known.updated_at === job.updated_at && known.status === job.status ? known : job;
  };
  const first = fresh.map(same);
  const ids = new Set(first.map((job) => job.id));
  const rest = old.jobs.filter((job) => !ids.has(job.id)).map((job) => (changed.has(job.id) ? same(changed.get(job.id)) : job));
  // Sorted by id, which begins with the time.
  const jobs = [...first, ...rest].filter(kept).sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
  const isSame = jobs.length === old.jobs.length && jobs.every((job, index) => job === old.jobs[index]);
  return isSame ? old : { ...old, jobs };
}

// The browser lays out only the rows in sight (content-visibility), and all of them can be searched and read.
class Row extends Component {
  shouldComponentUpdate({ job, found }) {
    return job !== this.props.job || found !== this.props.found;
  }

  render({ job, found }) {
    return html`
      <li>
        <a class="row" href="#/jobs/${job.id}">
          <span class="row-title">${job.title}${job.prompt && html` <span class="fine row-prompt">${job.prompt}</span>`}${job.isCompared && html` <span class="badge">Compared</span>`}</span>
          <${Status} job=${job} />
          <span class="fine row-model">${job.public_model} · ${labelOf(found, job.provider_plugin)}</span>
          <span class="row-length">${job.seconds ? clock(job.seconds) : ""}</span>
          <span class="row-cost">${job.cost ?? ""}</span>
          <span class="fine row-took"><${Elapsed} job=${job} /></span>
          <time class="fine row-when" datetime=${job.created_at} title=${when(job.created_at)}>${shortly(job.created_at)}</time>
        </a>
      </li>
    `;
  }
}

// Loads the next page when it comes into sight, or is pressed.
function More({ isLoading, onMore }) {
  const button = useRef(null);
  useEffect(() => {
    const watcher = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && onMore(), { rootMargin: "800px" });
    watcher.observe(button.current);
    return () => watcher.disconnect();
  }, []);
  return html`<p class="end"><button ref=${button} onClick=${onMore}>${isLoading ? "Loading …" : "More jobs"}</button></p>`;
}
