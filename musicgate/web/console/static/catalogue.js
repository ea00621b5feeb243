// What can be asked of whom: models, providers and the schema of a request, loaded once after signing in.
import { ApiError, call } from "./api.js";
import { Store } from "./store.js";

// { models, providers, schema } or null.
export const catalogue = new Store(null);

export async function loadCatalogue() {
  const [models, providers, schema] = await Promise.all([
    call("v1/music/models"),
    call("v1/music/providers"),
    call("v1/schemas/request"),
  ]);
  catalogue.set({ models: models.data, providers: providers.data, schema });
}

// The offers of a model by one plugin, or by all of them.
export function offersOf(found, modelId, plugin = "") {
  const offers = found.models.find((model) => model.id === modelId)?.offers ?? [];
  return plugin ? offers.filter((offer) => offer.provider_plugin === plugin) : offers;
}

export function providerOf(found, plugin) {
  return found?.providers.find((provider) => provider.provider_plugin === plugin) ?? null;
}

export function labelOf(found, plugin) {
  return providerOf(found, plugin)?.label ?? plugin ?? "–";
}

// Models in groups, by the first part of their ids, those that can be called first.
export function groupsOf(found) {
  const groups = new Map();
  for (const model of found.models) {
    const name = model.id.split("/")[0];
    groups.set(name, [...(groups.get(name) ?? []), model]);
  }
  const configured = (models) => models.some((model) => model.offers.some((offer) => offer.configured));
  return [...groups].sort(([a, of], [b, other]) => configured(other) - configured(of) || a.localeCompare(b));
}

// A model to begin with: with a key and a price, at as many providers and with as many fields as possible.
export function firstModel(found, except = "") {
  const ready = (model) => model.offers.filter((offer) => offer.configured);
  const isPriced = (model) => ready(model).some((offer) => offer.pricing);
  const fields = (model) => Math.max(0, ...ready(model).map((offer) => offer.abilities.length));
  const others = found.models.filter((model) => model.id.split("/")[0] !== except.split("/")[0]);
  return [...(others.length ? others : found.models)].sort(
    (a, b) =>
      isPriced(b) - isPriced(a) ||
      ready(b).length - ready(a).length ||
      fields(b) - fields(a) ||
      a.id.length - b.id.length ||
      b.id.localeCompare(a.id, undefined, { numeric: true }),
  )[0]?.id;
}

const hints = new Map();

// The descriptions of a provider's own options, by name; empty where no schema is published.
export async function hintsOf(block) {
  if (!hints.has(block)) {
    try {
      const schema = await call(`v1/schemas/options/${encodeURIComponent(block)}`);
      hints.set(block, Object.fromEntries(Object.entries(schema.properties ?? {}).map(([k, v]) => [k, v.description])));
    } catch (error) {
      if (!(error instanceof ApiError)) return {};
      hints.set(block, {});
    }
  }
  return hints.get(block);
}
