// Small parts of the page that several views show.
import { html, useEffect, useRef, useState } from "./html.js";
import { isOpen, secondsBetween, span, statusOf } from "./format.js";

export function Status({ job }) {
  const kind = job.status === "failed" && job.error?.reason === "cancelled" ? "cancelled" : job.status;
  return html`<span class="status ${kind}"><span class="dot" aria-hidden="true"></span>${statusOf(job)}</span>`;
}

// An error in the server's own words, with the id that its log has.
export function Problem({ error, children }) {
  if (!error) return null;
  return html`
    <div class="problem" role="alert">
      <p>${error.message}</p>
      ${error.reason && html`<p class="fine"><code>${error.reason}</code>${error.requestId && html` · <code>${error.requestId}</code>`}</p>`}
      ${children}
    </div>
  `;
}

// How long a job has been going on, or took.
export function Elapsed({ job }) {
  const [now, setNow] = useState(Date.now());
  const isRunning = isOpen(job);
  useEffect(() => {
    if (!isRunning) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  return span(elapsedOf(job, now));
}

export function elapsedOf(job, nowMs) {
  const end = isOpen(job) ? nowMs : job.completed_at ?? job.updated_at;
  return Math.max(0, secondsBetween(job.created_at, end));
}

export function Heading({ title, children }) {
  useEffect(() => {
    document.title = `${title} · musicgate`;
  }, [title]);
  return html`
    <div class="heading">
      <h1 tabindex="-1">${title}</h1>
      ${children}
    </div>
  `;
}

// A reference to whether the part is still on the page.
export function useIsShown() {
  const isShown = useRef(true);
  useEffect(() => {
    isShown.current = true;
    return () => {
      isShown.current = false;
    };
  }, []);
  return isShown;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

export function Busy({ children = "Loading …" }) {
  return html`<p class="empty" role="status">${children}</p>`;
}
