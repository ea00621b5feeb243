"""Writes docs/settings.md: tables from the fields of `musicgate.settings`, and the prose around them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from docs.markdown import GENERATED, table, ticks
from musicgate.model import Provider
from musicgate.settings import (
    OTHER_VARIABLES,
    PROXY_VARIABLES,
    SECTIONS,
    Account,
    ProviderTable,
    doc_of,
    rule_of,
    variable_of,
)

_INTRODUCTION = """
Settings come from one TOML file and from environment variables, which override the file. Both are read once, at start.
The file is the one that `--config FILE` names, else `MUSICGATE_CONFIG`, else `musicgate.toml` in the current folder if
it exists.

```toml
[server]
port = 8080
public_url = "https://music.example.com"

[store]
url = "sqlite:////var/lib/musicgate/jobs.db"

[assets]
url = "file:///var/lib/musicgate/audio"
archive = true

[[accounts]]
name = "studio"
key_hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[providers.suno_kie]
api_key = "test-key-not-real"
priority = 10

[providers.minimax]
enabled = false
```

The variable of a setting is `MUSICGATE_<SECTION>__<KEY>`, for example `MUSICGATE_SERVER__PORT=9000` or
`MUSICGATE_PROVIDERS__SUNO_KIE__PRIORITY=5`. Accounts come from the file only.

## Rules for all settings

- An unknown key is an error that names it. So is an unknown variable that begins with `MUSICGATE_`, except those that
  Kubernetes sets for a Service whose name begins with `musicgate`: `MUSICGATE_SERVICE_HOST`, `MUSICGATE_SERVICE_PORT`,
  `MUSICGATE_SERVICE_PORT_<NAME>`, `MUSICGATE_PORT_<NUMBER>_TCP` with `_PROTO`, `_PORT` and `_ADDR`, the same for `UDP`
  and `SCTP`, and `MUSICGATE_PORT` if it holds an address such as `tcp://10.0.0.1:8080`. More of the Service's name may
  follow `MUSICGATE_`.
- An error message names the setting, what it must be, and the file or variable it came from. It never shows the value;
  neither do logs or the `repr` of settings.
- Blanks and line breaks around a value are removed, in the file and in the environment, because a secret that is
  mounted from a file often ends in a line break. Line breaks and other control characters inside a value are refused.
- The file is UTF-8, with or without a byte order mark.
- Numbers must be finite and in their range. This holds for values made in code as well:
  `FollowSettings(speed=0)` raises `ConfigError`.
- Of all other environment variables, a gateway keeps those that its plugins declare and those of proxies, in upper or
  lower case: PROXIES.
"""

_PROXIES = """
### Proxies

Without `proxy`, the usual variables apply: `HTTPS_PROXY` for `https:` addresses and `HTTP_PROXY` for `http:` ones; the
lower-case spelling overrides the upper-case one. `NO_PROXY` lists what is reached directly, also with `proxy`: hosts
with all their subdomains (`example.com`), addresses and networks (`10.0.0.0/8`), either with a port
(`example.com:8443`), or `*`. Loopback is always reached directly. Only HTTP proxies are supported: `CONNECT` for
`https:`, the whole address in the request for `http:`. Another kind (`socks5:`) is refused at start. The same proxy
serves vendors' APIs, media and webhooks.

Private addresses stay out of reach behind a proxy: before it sends a media link or a webhook through the proxy,
musicgate looks the name up itself and refuses it unless every address is public. A literal address is checked as it
is. The proxy then gets the name, not the address, because proxies decide by name and many servers need theirs. So a
name whose owner answers the proxy's lookup differently can reach what the *proxy* can reach: configure the proxy to
refuse private destinations, too. Where names cannot be looked up without the proxy, media and webhooks need
`allow_private_addresses`, and then the proxy alone decides. Addresses of vendors' APIs are not looked up: they come
from the operator.
"""

_SECRETS = """
A secret is `whsec_` and the base64 form of 24 to 64 random bytes: `echo whsec_$(openssl rand -base64 32)` makes one.
The server does not start with a malformed secret, or with an address that has no secret. To rotate a secret, set the
new one, keep the old one as `secret_previous`, and remove that when all receivers know the new one.
[What is sent](http.md#webhooks).
"""

#: Text below a section's table.
_NOTES = {
    "network": _PROXIES,
    "limits": "\n[What callers see of limits](http.md#limits).\n",
    "webhooks": _SECRETS,
}

_ACCOUNTS = """
Who may call. Without any account, the server listens on loopback only, needs no key, and refuses requests from foreign
web pages. Exactly one of `key` and `key_hash` is required.
"""

_PROVIDERS = """
These keys are in the table of every plugin. The variable of a key is `MUSICGATE_PROVIDERS__<PLUGIN>__<KEY>`.
"""


def settings_page(providers: Sequence[Provider]) -> str:
    """Every setting with its variable, type, range, unit and default."""
    proxies = ", ".join(f"`{name}`" for name in PROXY_VARIABLES if name.isupper())
    parts = [GENERATED, "# Settings", _INTRODUCTION.replace("PROXIES", proxies)]
    for name, kind in SECTIONS.items():
        about = ticks(inspect.getdoc(kind) or "")
        parts += [f"## `[{name}]`", about, _fields(kind, name)]
        parts += [_NOTES[name]] if name in _NOTES else []
    parts += ["## `[[accounts]]`", _ACCOUNTS, _fields(Account)]
    parts += ["## `[providers.<plugin>]`", _PROVIDERS, _fields(ProviderTable)]
    parts += ["Variables with the vendors' usual names override the file, too:", _vendor_variables(providers)]
    parts += [
        "Each plugin has settings of its own in the same table; [providers](providers.md) describes them:",
        _own_settings(providers),
    ]
    rows = [(f"`{name}`", text) for name, text in OTHER_VARIABLES.items()]
    parts += ["## Environment only", table(("variable", "meaning"), rows)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _fields(kind: type[Any], section: str | None = None) -> str:
    """The table of one section; ``section`` names its variables, None = it has none."""
    head = ["key", "default", "value", *(["variable"] if section else []), "meaning"]
    rows = [
        [
            f"`{field.name}`",
            _default(field.default),
            rule_of(field).description,
            *([f"`{variable_of(section, field.name)}`"] if section else []),
            doc_of(field),
        ]
        for field in attrs.fields(kind)
    ]
    return table(head, rows)


def _default(value: object) -> str:
    if value is attrs.NOTHING:
        return "required"
    return "none" if value is None else f"`{json.dumps(value)}`"


def _vendor_variables(providers: Iterable[Provider]) -> str:
    rows = [
        (f"`{one.plugin}`", *(f"`{name}`" if name else "" for name in _variables(one))) for one in providers
    ]
    return table(("plugin", "key", "base URL", "callback secret"), rows)


def _variables(provider: Provider) -> tuple[str | None, ...]:
    return (provider.key_env, provider.base_url_env, provider.webhook_secret_env)


def _own_settings(providers: Iterable[Provider]) -> str:
    rows = [
        (f"`{one.plugin}`", f"`{name}`", f"`{json.dumps(schema.get('default'))}`")
        for one in providers
        for name, schema in _properties(one).items()
    ]
    return table(("plugin", "key", "default"), rows)


def _properties(provider: Provider) -> Mapping[str, Any]:
    properties: Any = provider.settings_schema.get("properties", {})
    found: Mapping[str, Any] = properties
    return found
