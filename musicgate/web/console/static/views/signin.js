// Ask for the key of an account. It is kept by this tab only.
import { signIn } from "../api.js";
import { Field } from "../form.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Heading } from "../parts.js";

export function SignIn({ refusal }) {
  const [key, setKey] = useState("");
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input").focus(), []);
  const submit = (event) => {
    event.preventDefault();
    signIn(key.trim());
  };
  const errors = refusal ? [refusal.message] : undefined;
  return html`
    <form class="card narrow" ref=${form} onSubmit=${submit} novalidate>
      <${Heading} title="Sign in" />
      <${Field} name="key" title="API key" hint="It stays in this tab and is forgotten when you close it." errors=${errors}>
        ${(props) => html`<input ...${props} type="password" autocomplete="off" spellcheck="false" value=${key} onInput=${(event) => setKey(event.currentTarget.value)} />`}
      <//>
      <button class="primary" type="submit">Sign in</button>
    </form>
  `;
}
