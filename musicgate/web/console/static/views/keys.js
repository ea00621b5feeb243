// For administrators: the API keys of all accounts. A new key is shown once.
import { call } from "../api.js";
import { Field } from "../form.js";
import { label, when } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useLoaded } from "../loading.js";
import { Busy, Empty, Heading, Problem } from "../parts.js";
import { messagesByField, placesOf } from "../request.js";

const FIELDS = new Set(["account", "name"]);
const ACCOUNT_FIELDS = [
  ["name", "Name", null],
  ["requests_per_minute", "Creates a minute", "Empty: the server’s limit"],
  ["max_open_jobs", "Open jobs", "Empty: the server’s limit"],
  ["max_usd_per_day", "Dollars a day", "Empty: the server’s limit"],
];
const KIND = { active: "completed", expired: "cancelled", revoked: "failed" };

export function Keys() {
  const { data, error, reload } = useLoaded(
    (signal) => Promise.all([call("v1/admin/keys", { signal }), call("v1/admin/accounts", { signal })]),
    [],
  );
  const [made, setMade] = useState(null);
  const show = (key) => {
    setMade(key);
    reload();
  };
  const [keys, accounts] = data ?? [];
  return html`
    <${Heading} title="Keys" />
    <${Problem} error=${error} />
    ${made && html`<${NewKey} made=${made} onDone=${() => setMade(null)} />`}
    ${!data && !error && html`<${Busy} />`}
    ${data &&
    html`
      ${keys.data.length === 0 && html`<${Empty}>No key has been made yet. Keys of the settings file are not listed.<//>`}
      ${keys.data.length > 0 &&
      html`
        <div class="card scroll" tabindex="0" role="region" aria-label="Keys">
          <table>
            <thead><tr><th scope="col">Account</th><th scope="col">Name</th><th scope="col">Id</th><th scope="col">State</th><th scope="col">Made</th><th scope="col">Last used</th><th scope="col"><span class="unseen">Changes</span></th></tr></thead>
            <tbody>${keys.data.map((key) => html`<${Row} key=${key.id} item=${key} onMade=${show} onChanged=${reload} />`)}</tbody>
          </table>
        </div>
      `}
      <${MakeKey} accounts=${accounts.data.filter((account) => account.source === "store")} onMade=${show} />
      <${MakeAccount} onMade=${reload} />
    `}
  `;
}

function NewKey({ made, onDone }) {
  const text = useRef(null);
  useEffect(() => text.current.focus(), []);
  const copy = () => navigator.clipboard?.writeText(made.key).catch(() => {});
  return html`
    <section class="card" aria-labelledby="new-key">
      <h2 id="new-key">The new key of ${made.account}</h2>
      <p>It is shown now and never again.</p>
      <input ref=${text} class="code" readonly aria-label="The new key" value=${made.key} onFocus=${(event) => event.currentTarget.select()} />
      <div class="actions"><button onClick=${copy}>Copy</button><button onClick=${onDone}>I have it</button></div>
    </section>
  `;
}

function MakeKey({ accounts, onMade }) {
  const [values, setValues] = useState({ account: null, name: "", isAdmin: false });
  const account = values.account ?? accounts[0]?.name;
  const [error, setError] = useState(null);
  const set = (name) => (event) => setValues({ ...values, [name]: event.currentTarget.value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      onMade(await call("v1/admin/keys", { method: "POST", body: { account, name: values.name, is_admin: values.isAdmin } }));
      setError(null);
      setValues({ ...values, name: "", isAdmin: false });
    } catch (failed) {
      setError(failed);
    }
  };
  const isShown = (name) => FIELDS.has(name);
  const errors = messagesByField(placesOf(error, isShown), isShown);
  if (!accounts.length) return html`<${Empty}>A key belongs to an account. Make one first: keys for accounts of the settings file stand in that file.<//>`;
  return html`
    <form class="card" onSubmit=${submit} novalidate>
      <h2>Make a key</h2>
      <div class="grid">
        <${Field} name="account" title="Account" errors=${errors.get("account")}>
          ${(props) => html`<select ...${props} value=${account} onChange=${set("account")}>${accounts.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}</select>`}
        <//>
        <${Field} name="name" title="Name" hint="What it is for" errors=${errors.get("name")}>
          ${(props) => html`<input ...${props} type="text" autocomplete="off" value=${values.name} onInput=${set("name")} />`}
        <//>
      </div>
      <label class="check"><input type="checkbox" checked=${values.isAdmin} onChange=${(event) => setValues({ ...values, isAdmin: event.currentTarget.checked })} /> It is an administrator’s</label>
      ${errors.get("") && html`<${Problem} error=${error} />`}
      <button class="primary" type="submit">Make a key</button>
    </form>
  `;
}

// An account with limits of its own; a number that cannot be read is sent as it is, to be refused by the server.
function MakeAccount({ onMade }) {
  const [values, setValues] = useState({});
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.entries(values).filter(([, text]) => text !== "");
    const body = Object.fromEntries(given.map(([name, text]) => [name, name === "name" || Number.isNaN(Number(text)) ? text : Number(text)]));
    try {
      await call("v1/admin/accounts", { method: "POST", body });
      setError(null);
      setValues({});
      onMade();
    } catch (failed) {
      setError(failed);
    }
  };
  const isShown = (name) => ACCOUNT_FIELDS.some(([field]) => field === name);
  const errors = messagesByField(placesOf(error, isShown), isShown);
  return html`
    <form class="card" onSubmit=${submit} novalidate>
      <h2>Make an account</h2>
      <div class="grid">
        ${ACCOUNT_FIELDS.map(
          ([name, title, hint]) => html`
            <${Field} key=${name} name="account-${name}" title=${title} hint=${hint} errors=${errors.get(name)}>
              ${(props) => html`<input ...${props} type="text" inputmode=${name === "name" ? undefined : "decimal"} autocomplete="off" value=${values[name] ?? ""} onInput=${(event) => setValues({ ...values, [name]: event.currentTarget.value })} />`}
            <//>
          `,
        )}
      </div>
      ${errors.get("") && html`<${Problem} error=${error} />`}
      <button type="submit">Make an account</button>
    </form>
  `;
}

function Row({ item, onMade, onChanged }) {
  const [error, setError] = useState(null);
  const [isAsking, setAsking] = useState(false);
  const path = `v1/admin/keys/${encodeURIComponent(item.id)}`;
  const change = async (what, done) => {
    try {
      const answer = await call(`${path}/${what}`, { method: "POST" });
      setError(null);
      setAsking(false);
      done(answer);
    } catch (failed) {
      setError(failed);
    }
  };
  return html`
    <tr>
      <td>${item.account}</td>
      <td>${item.name || "–"}${item.is_admin && html` <span class="badge">Administrator</span>`}</td>
      <td><code>${item.id}</code></td>
      <td><span class="status ${KIND[item.status] ?? "queued"}"><span class="dot" aria-hidden="true"></span>${label(item.status)}</span></td>
      <td>${when(item.created_at)}</td>
      <td>${when(item.used_at)}</td>
      <td>
        ${item.status === "active" &&
        html`
          <div class="actions">
            ${isAsking
              ? html`<button class="danger" onClick=${() => change("revoke", onChanged)}>Revoke it now</button><button onClick=${() => setAsking(false)}>Keep it</button>`
              : html`<button onClick=${() => change("rotate", onMade)}>Rotate<span class="unseen"> ${item.name || item.id}</span></button><button onClick=${() => setAsking(true)}>Revoke …</button>`}
          </div>
        `}
        ${error && html`<p class="error" role="alert">${error.message}</p>`}
      </td>
    </tr>
  `;
}
