// One job: live while it is open, then its songs and its story.
import { LostError, call } from "../api.js";
import { catalogue, labelOf, providerOf } from "../catalogue.js";
import { follow } from "../events.js";
import { costOf, isOpen, label, secondsBetween, span, statusOf, time, titleOf, when } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useLoaded } from "../loading.js";
import { Busy, Elapsed, Heading, Problem, Status, elapsedOf } from "../parts.js";
import { Player } from "../player.js";
import { useStore } from "../store.js";
import { draft } from "./make.js";
import { emptyDraft } from "../request.js";

const REFRESH_MS = 200;

export function pathOf(id) {
  return `v1/music/generate/${encodeURIComponent(id)}`;
}

// A job as it is now, and its events, for as long as a view is shown: { job, events, error, refresh }.
export function useJob(id) {
  const [job, setJob] = useState(null);
  const [events, setEvents] = useState([]);
  const [error, setError] = useState(null);
  const refresh = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer = null;
    setJob(null);
    setEvents([]);
    setError(null);
    const load = async () => {
      timer = null;
      try {
        const now = await call(pathOf(id), { signal: ended.signal });
        // An answer that was overtaken must not open the job again.
        setJob((old) => (old && !isOpen(old) && isOpen(now) ? old : now));
      } catch (failed) {
        if (!ended.signal.aborted && !(failed instanceof LostError)) setError(failed);
      }
    };
    // Several events at once lead to one request.
    refresh.current = () => (timer ??= setTimeout(load, REFRESH_MS));
    load();
    const stop = follow(id, {
      onEvent: (event) => {
        setEvents((old) => [...old, event]);
        if (event.type === "settled" && event.job) setJob(event.job);
        if (event.type !== "created") refresh.current();
      },
      onError: (failed) => setError(failed),
    });
    return () => {
      clearTimeout(timer);
      ended.abort();
      stop();
    };
  }, [id]);
  return { job, events, error, refresh: () => refresh.current() };
}

export function Job({ id }) {
  const found = useStore(catalogue);
  const { job, events, error, refresh } = useJob(id);
  if (!job) {
    return html`<${Heading} title="Job" />${error ? html`<${Problem} error=${error} />` : html`<${Busy} />`}`;
  }
  const again = () => {
    const offered = found.models.some((model) => model.id === job.public_model);
    draft.set({ ...emptyDraft(offered ? job.public_model : found.models[0].id), values: { prompt: job.metadata?.prompt ?? "" } });
  };
  return html`
    <${Heading} title=${titleOf(job)}>
      <${Status} job=${job} />
    <//>
    <p class="unseen" role="status">${statusOf(job)}</p>
    ${job.metadata?.prompt && job.metadata.prompt !== titleOf(job) && html`<p class="lead">${job.metadata.prompt}</p>`}
    <dl class="facts">
      <div><dt>Model</dt><dd>${job.public_model}</dd></div>
      <div><dt>Provider</dt><dd>${job.provider_plugin ? labelOf(found, job.provider_plugin) : "–"}</dd></div>
      <div><dt>Cost</dt><dd>${costOf(job) ?? (isOpen(job) ? "when it is done" : job.error ? costOfFailure(job) : "not known")}</dd></div>
      <div><dt>${isOpen(job) ? "Running for" : "Took"}</dt><dd><${Elapsed} job=${job} /></dd></div>
      <div><dt>Made</dt><dd>${when(job.created_at)}</dd></div>
    </dl>
    ${isOpen(job) && html`<${Progress} job=${job} found=${found} />`}
    ${job.error && html`<${Failure} error=${job.error} />`}
    <${Warnings} job=${job} />
    <${Tracks} job=${job} />
    ${error && html`<${Problem} error=${error} />`}
    <div class="actions">
      ${isOpen(job) && html`<${Cancel} job=${job} onDone=${refresh} />`}
      <a class="button" href="#/make" onClick=${again}>Make another</a>
    </div>
    <${Story} job=${job} events=${events} found=${found} />
    <${Webhooks} job=${job} />
    <details class="card">
      <summary>The whole answer as JSON</summary>
      <pre tabindex="0">${JSON.stringify(job, null, 2)}</pre>
    </details>
  `;
}

function costOfFailure(job) {
  return job.error.may_have_cost ? "may have cost" : "nothing";
}

export function Warnings({ job }) {
  if (!job.warnings?.length) return null;
  return html`
    <ul class="warnings" aria-label="Warnings">
      ${job.warnings.map((warning) => html`<li key=${warning.path.join(".") + warning.message}><code>${warning.path.join(".")}</code> ${warning.message}</li>`)}
    </ul>
  `;
}

export function Tracks({ job }) {
  if (!job.output?.length) return null;
  return html`<div class="tracks">${job.output.map((track) => html`<${Player} key=${track.index} job=${job} track=${track} />`)}</div>`;
}

export function Failure({ error }) {
  return html`
    <div class="problem">
      <p><strong>${label(error.reason)}.</strong> ${error.message}${error.native_code && html` <code>${error.native_code}</code>`}</p>
      ${error.native_message && error.native_message !== error.message && html`<p>The vendor’s words: “${error.native_message}”</p>`}
      ${error.suggestion && html`<p>${typeof error.suggestion === "string" ? error.suggestion : JSON.stringify(error.suggestion)}</p>`}
      <p class="fine">${error.may_have_cost ? "It may have cost money." : "It has cost nothing."}</p>
    </div>
  `;
}

// How far it is: as the vendor says, or by the time that this provider usually takes.
export function Progress({ job, found }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const usualS = providerOf(found, job.provider_plugin)?.typical_seconds;
  const said = job.progress?.fraction;
  const guess = usualS ? Math.min(0.95, elapsedOf(job, now) / usualS) : undefined;
  const text =
    job.status === "queued"
      ? "Waiting for its turn at the provider"
      : said !== undefined
        ? `${Math.round(said * 100)} % done, as the vendor says`
        : usualS
          ? `Being made; this provider usually takes ${span(usualS)}`
          : "Being made";
  return html`
    <div class="progress">
      <progress max="1" value=${job.status === "queued" ? undefined : said ?? guess} aria-label=${text}></progress>
      <p class="fine">${text}${job.progress?.remaining_seconds !== undefined && `, ${span(job.progress.remaining_seconds)} left`}</p>
    </div>
  `;
}

export function Cancel({ job, onDone }) {
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState(null);
  const first = useRef(null);
  useEffect(() => {
    if (isAsking) first.current?.focus();
  }, [isAsking]);
  const cancel = async () => {
    try {
      await call(`${pathOf(job.id)}/cancel`, { method: "POST" });
      setError(null);
      setAsking(false);
      document.querySelector("h1")?.focus(); // the button is gone
    } catch (failed) {
      setError(failed);
    }
    onDone();
  };
  return html`
    ${isAsking
      ? html`
          <span class="confirm" role="group" aria-label="Cancel this job">
            <span>The vendor may bill it all the same.</span>
            <button ref=${first} class="danger" onClick=${cancel}>Cancel the job</button>
            <button onClick=${() => setAsking(false)}>Let it run</button>
          </span>
        `
      : html`<button onClick=${() => setAsking(true)}>Cancel …</button>`}
    <${Problem} error=${error} />
  `;
}

function Story({ job, events, found }) {
  return html`
    <section class="card" aria-labelledby="story">
      <h2 id="story">Story</h2>
      <ol class="story">
        ${events.map(
          (event) => html`
            <li key=${event.number} data-event=${event.type}>
              <time datetime=${event.at} title=${when(event.at)}>${`+${span(Math.max(0, secondsBetween(job.created_at, event.at)))}`}</time>
              <span>${wordsOf(event, found)}</span>
            </li>
          `,
        )}
      </ol>
      <h3>Attempts</h3>
      <div class="scroll" tabindex="0" role="region" aria-label="Attempts">
        <table>
          <thead><tr><th scope="col">Provider</th><th scope="col">Native model</th><th scope="col">Outcome</th><th scope="col">Asked at</th><th scope="col">Answered after</th><th scope="col">What it said</th></tr></thead>
          <tbody>
            ${job.attempts.map(
              (attempt, index) => html`
                <tr key=${index}>
                  <td>${labelOf(found, attempt.provider_plugin)}</td>
                  <td><code>${attempt.native_model}</code></td>
                  <td>${label(attempt.outcome)}</td>
                  <td>${time(attempt.planned_at)}</td>
                  <td>${attempt.answered_at ? span(secondsBetween(attempt.planned_at, attempt.answered_at)) : "–"}</td>
                  <td>${attempt.message ?? attempt.nativeResponseId ?? "–"}${attempt.native_code && html` <code>${attempt.native_code}</code>`}</td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

function wordsOf({ type, data }, found) {
  const track = Number.isInteger(data.index) ? `Track ${data.index + 1}${data.title ? ` “${data.title}”` : ""}` : "";
  switch (type) {
    case "created":
      return `Stored, for ${data.model}`;
    case "attempt":
      return `${labelOf(found, data.plugin)}: ${data.outcome}${data.native_id ? ` as ${data.native_id}` : ""}`;
    case "state":
      return `${label(data.from)} → ${label(data.to).toLowerCase()}`;
    case "track":
      return data.audio_url ? `${track} is made` : `${track} can be heard while it is made`;
    case "progress":
      return data.fraction === undefined ? "The vendor has named its charge" : `${Math.round(data.fraction * 100)} % done`;
    case "output":
      return "The vendor has finished; the audio is being fetched";
    case "storage":
      return `The audio cannot be stored for now: ${data.reason}`;
    case "settled":
      return data.reason ? `${label(data.state)}: ${label(data.reason).toLowerCase()}` : label(data.state);
    default:
      return `${label(type)} ${JSON.stringify(data)}`;
  }
}

function Webhooks({ job }) {
  const isFinal = !isOpen(job);
  const { data, error, reload } = useLoaded((signal) => call(`${pathOf(job.id)}/webhooks`, { signal }), [job.id, isFinal]);
  const [failed, setFailed] = useState({});
  const messages = data?.data ?? [];
  const isPending = messages.some((message) => message.status === "pending");
  useEffect(() => {
    if (!isPending) return undefined;
    const timer = setInterval(reload, 1500);
    return () => clearInterval(timer);
  }, [isPending]);
  const replay = async (message) => {
    try {
      await call(`${pathOf(job.id)}/webhooks/${encodeURIComponent(message.id)}/replay`, { method: "POST" });
      setFailed((old) => ({ ...old, [message.id]: null }));
    } catch (refusal) {
      setFailed((old) => ({ ...old, [message.id]: refusal }));
    }
    reload();
  };
  if (!error && !messages.length) return null;
  return html`
    <section class="card" aria-labelledby="webhooks">
      <h2 id="webhooks">Webhooks</h2>
      <${Problem} error=${error} />
      ${messages.map(
        (message) => html`
          <article key=${message.id} class="webhook" aria-label=${`${message.type} to ${message.url}`}>
            <div class="split">
              <span><span class="badge ${message.status}">${label(message.status)}</span> <code>${message.type}</code> to <code>${message.url}</code></span>
              <button onClick=${() => replay(message)}>Send again</button>
            </div>
            <${Problem} error=${failed[message.id]} />
            <p class="fine"><code>${message.id}</code>${message.next_attempt_at && ` · next try ${when(message.next_attempt_at)}`}</p>
            <ol class="story">
              ${message.tries.map(
                (tried) => html`<li key=${tried.at}><time datetime=${tried.at}>${time(tried.at)}</time><span>${tried.status_code ? `HTTP ${tried.status_code}` : "No answer"} after ${tried.duration_ms} ms${tried.error && `: ${tried.error}`}</span></li>`,
              )}
            </ol>
          </article>
        `,
      )}
    </section>
  `;
}
