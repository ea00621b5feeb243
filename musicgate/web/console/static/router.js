// The place in the page: #/jobs?state=failed -> { parts: ["jobs"], query }.
import { Store } from "./store.js";

function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query ?? "") };
}

export const place = new Store(read());
addEventListener("hashchange", () => place.set(read()));

export function go(path, query) {
  const text = query && [...query].length ? `?${query}` : "";
  location.hash = `#/${path}${text}`;
}
