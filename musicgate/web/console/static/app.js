// The page: who is signed in, which view is shown, and whether the server is there.
import { ApiError, LostError, lost, refused, session, signIn } from "./api.js";
import { abilities, loadAbilities } from "./admin.js";
import { catalogue, loadCatalogue } from "./catalogue.js";
import { html, render, useEffect, useRef, useState } from "./html.js";
import { Busy, Heading, Problem } from "./parts.js";
import { place } from "./router.js";
import { useStore } from "./store.js";
import { Compare, Comparison } from "./views/compare.js";
import { Job } from "./views/job.js";
import { Jobs } from "./views/jobs.js";
import { Keys } from "./views/keys.js";
import { Make } from "./views/make.js";
import { Providers } from "./views/providers.js";
import { SignIn } from "./views/signin.js";
import { Usage } from "./views/usage.js";

const VIEWS = [
  ["make", "Make"],
  ["jobs", "Jobs"],
  ["compare", "Compare"],
  ["providers", "Providers"],
];
// They are shown where the server has the routes, and the key the right.
const MORE_VIEWS = [
  ["usage", "Usage"],
  ["keys", "Keys"],
];

function App() {
  const { parts } = useStore(place);
  const refusal = useStore(refused);
  const isLost = useStore(lost);
  const key = useStore(session);
  const found = useStore(catalogue);
  const able = useStore(abilities);
  const error = useCatalogue(key, isLost);
  // server.admin_key has no account: all that it can do is in one view.
  const view = parts[0] ?? (found || !able.has("keys") ? "make" : "keys");
  const main = useRef(null);
  const isFirst = useRef(true);
  // A new view begins at its heading, for the keyboard and for screen readers.
  useEffect(() => {
    if (!isFirst.current) main.current.querySelector("h1")?.focus();
    isFirst.current = false;
    scrollTo(0, 0);
  }, [parts.join("/")]);

  const isShown = (found || able.size > 0) && !refusal;
  const views = [...(found ? VIEWS : []), ...MORE_VIEWS.filter(([name]) => able.has(name))];
  return html`
    <a class="skip" href="#content" onClick=${(event) => { event.preventDefault(); main.current.querySelector("h1")?.focus(); }}>To the content</a>
    <header class="top">
      <a class="brand" href="#/make"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 10v4M7.5 6v12M12 3v18M16.5 7v10M21 10v4" /></svg>musicgate</a>
      ${isShown &&
      html`
        <nav aria-label="Views">
          ${views.map(([name, text]) => html`<a key=${name} href="#/${name}" aria-current=${view === name ? "page" : undefined}>${text}</a>`)}
        </nav>
      `}
      ${key && isShown && html`<button class="quiet" onClick=${() => signIn("")}>Sign out</button>`}
    </header>
    <div role="status">${isLost && html`<p class="banner">The connection to the server is lost. Trying again …</p>`}</div>
    <main id="content" ref=${main}>
      ${refusal
        ? html`<${SignIn} refusal=${key ? refusal : null} />`
        : found || able.has(view)
          ? html`<${View} view=${view} parts=${parts} able=${able} />`
          : error
            ? html`<${Heading} title="musicgate" /><${Problem} error=${error} />`
            : html`<${Heading} title="musicgate" /><${Busy} />`}
    </main>
  `;
}

function View({ view, parts, able }) {
  if (view === "make") return html`<${Make} />`;
  if (view === "jobs" && parts[1]) return html`<${Job} key=${parts[1]} id=${parts[1]} />`;
  if (view === "jobs") return html`<${Jobs} />`;
  if (view === "compare" && parts[2]) return html`<${Comparison} key=${parts.join("/")} ids=${parts.slice(1, 3)} />`;
  if (view === "compare") return html`<${Compare} />`;
  if (view === "providers") return html`<${Providers} />`;
  if (view === "usage" && able.has(view)) return html`<${Usage} />`;
  if (view === "keys" && able.has(view)) return html`<${Keys} />`;
  return html`<${Heading} title="Not found" /><p class="empty">There is no such page. <a href="#/make">Make a song</a></p>`;
}

// What the views need is loaded again for another key, and when the server is back.
function useCatalogue(key, isLost) {
  const [error, setError] = useState(null);
  useEffect(() => {
    if (isLost) return;
    setError(null);
    const loading = loadCatalogue();
    loading.then(loadAbilities, (failed) => failed.status === 403 && loadAbilities());
    loading.catch((failed) => {
      // A refusal is shown by the form for the key.
      if (failed instanceof ApiError ? failed.status !== 401 : !(failed instanceof LostError)) setError(failed);
    });
  }, [key, isLost]);
  useEffect(() => {
    catalogue.set(null);
    abilities.set(new Set());
  }, [key]);
  return error;
}

render(html`<${App} />`, document.getElementById("app"));
