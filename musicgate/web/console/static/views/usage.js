// What was used: by day, model, provider or key; of the own account, for administrators of all.
import { isAdmin } from "../admin.js";
import { call } from "../api.js";
import { dollars, label, span } from "../format.js";
import { html, useState } from "../html.js";
import { useLoaded } from "../loading.js";
import { Busy, Empty, Heading, Problem } from "../parts.js";

const GROUPS = [
  ["day", "By day"],
  ["model", "By model"],
  ["provider", "By provider"],
  ["key", "By key"],
];
const COLUMN = { key: "key_id" };

export function Usage() {
  const [group, setGroup] = useState("day");
  const path = isAdmin() ? "v1/admin/usage" : "v1/music/usage";
  const groups = isAdmin() ? [...GROUPS, ["account", "By account"]] : GROUPS;
  const { data, error } = useLoaded((signal) => call(`${path}?group_by=${group}`, { signal }), [path, group]);
  return html`
    <${Heading} title="Usage">
      <fieldset class="segments">
        <legend class="unseen">Group</legend>
        ${groups.map(([value, text]) => html`<label key=${value}><input type="radio" name="group" value=${value} checked=${group === value} onChange=${() => setGroup(value)} /><span>${text}</span></label>`)}
      </fieldset>
    <//>
    <${Problem} error=${error} />
    ${!data && !error && html`<${Busy} />`}
    ${data &&
    html`
      <p class="lead">${isAdmin() ? "All accounts" : "This account"}, ${data.from} to ${data.to} (UTC).</p>
      ${data.data.length === 0
        ? html`<${Empty}>Nothing was used in this time.<//>`
        : html`
            <div class="card scroll" tabindex="0" role="region" aria-label="Usage">
              <table>
                <thead><tr><th scope="col">${label(group)}</th>${["Jobs", "Completed", "Failed", "Audio", "Cost"].map((text) => html`<th key=${text} scope="col">${text}</th>`)}</tr></thead>
                <tbody>
                  ${data.data.map((row) => html`<tr key=${row[COLUMN[group] ?? group]}><th scope="row">${row[COLUMN[group] ?? group] || "–"}</th><${Figures} of=${row} /></tr>`)}
                  <tr class="total"><th scope="row">Together</th><${Figures} of=${data.total} /></tr>
                </tbody>
              </table>
            </div>
          `}
    `}
  `;
}

function Figures({ of }) {
  return html`
    <td>${of.jobs}</td>
    <td>${of.completed}</td>
    <td>${of.failed}</td>
    <td>${of.audio_seconds ? span(of.audio_seconds) : "–"}</td>
    <td>${dollars(of.cost_usd)}${of.unpriced_jobs > 0 && html` <span class="fine">and ${of.unpriced_jobs} without a price</span>`}</td>
  `;
}
