"""The document of an account in the store: what it sets, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.model import Secret
from musicgate.settings import Account

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Fields of `Account` that the store has elsewhere, or not at all.
_ELSEWHERE: Final = frozenset({"name", "key", "key_hash", "expires_at"})
#: Fields of an account that a caller may set.
FIELDS: Final[Mapping[str, attrs.Attribute[Any]]] = {
    field.name: field for field in attrs.fields(Account) if field.name not in _ELSEWHERE
}
SECRETS: Final = frozenset({"webhook_secret", "webhook_secret_previous"})


def account_text(account: Account) -> str:
    """What an account sets, without its name; webhook secrets are in it."""
    values = {name: getattr(account, name) for name in FIELDS}
    return json.dumps(
        {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in values.items()
            if value != FIELDS[name].default
        }
    )


def account_from_text(name: str, text: str) -> Account:
    """Read such a document. What a later version has added to it is left out.

    Raises:
        ValueError, ConfigError: it cannot be read.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(name)  # noqa: TRY004 - as for any other document that is wrong
    known: dict[str, Any] = {
        key: Secret(str(value)) if key in SECRETS else value for key, value in values.items() if key in FIELDS
    }
    return Account(name=name, **known)
