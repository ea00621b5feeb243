// Which views of administrators this server has for this key; without the routes, or the right, there are none.
import { open } from "./api.js";
import { Store } from "./store.js";

// Names of views: "keys", "usage".
export const abilities = new Store(new Set());

const ROUTES = { keys: ["v1/admin/keys"], usage: ["v1/music/usage", "v1/admin/usage"] };

export async function loadAbilities() {
  const found = new Set();
  for (const [name, paths] of Object.entries(ROUTES)) {
    for (const path of paths) {
      if (found.has(name)) break;
      const answer = await open(path, { method: "HEAD" }).catch(() => null);
      if (answer?.ok) found.add(name);
    }
  }
  abilities.set(found);
}

export const isAdmin = () => abilities.value.has("keys");
