// Load something of the server and keep it fresh, while a part of the page is shown.
import { LostError, lost } from "./api.js";
import { useEffect, useRef, useState } from "./html.js";

// Returns { data, error, reload }. It loads again when `inputs` change, when the connection is back, and every
// `everyMs` while the tab is visible. `load` gets an AbortSignal.
export function useLoaded(load, inputs, everyMs = 0) {
  const [state, setState] = useState({ data: null, error: null });
  const latest = useRef(null);
  latest.current = load;
  const reload = useRef(() => {});
  useEffect(() => {
    let controller = null;
    const run = async () => {
      controller?.abort();
      const own = (controller = new AbortController());
      try {
        const data = await latest.current(own.signal);
        if (!own.signal.aborted) setState({ data, error: null });
      } catch (error) {
        // A lost connection is told once, at the top of the page; what was loaded stays.
        if (!own.signal.aborted && !(error instanceof LostError)) setState((old) => ({ ...old, error }));
      }
    };
    reload.current = run;
    setState({ data: null, error: null });
    run();
    const unsubscribe = lost.subscribe((isLost) => isLost || run());
    const timer = everyMs ? setInterval(() => document.hidden || lost.value || run(), everyMs) : null;
    return () => {
      controller.abort();
      unsubscribe();
      clearInterval(timer);
    };
  }, inputs);
  return { ...state, reload: () => reload.current() };
}
