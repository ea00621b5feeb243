"""Checks the form of webhook signing secrets; `musicgate.webhooks` signs with them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Secret
from musicgate.settings.rules import Hidden

#: Standard Webhooks specification: at least 192 bits, at most 512.
_MIN_BYTES, _MAX_BYTES = 24, 64
_PREFIX = "whsec_"


def read_secret(text: str, *, key: str, source: str | None = None) -> Secret:
    """Read a signing secret; error messages do not show it.

    Raises:
        ConfigError: It is not ``whsec_`` and the base64 form of 24 to 64 bytes.
    """
    encoded = text.strip()
    try:
        # Without `validate`, base64 skips foreign characters, so a typo would sign with another secret.
        size = len(base64.b64decode(_padded(encoded.removeprefix(_PREFIX)), validate=True))
    except (ValueError, binascii.Error):
        size = 0
    if not encoded.startswith(_PREFIX) or not _MIN_BYTES <= size <= _MAX_BYTES:
        message = f"must be {_PREFIX} and the base64 form of {_MIN_BYTES} to {_MAX_BYTES} random bytes"
        raise ConfigError(message, key=key, source=source)
    return Secret(encoded)


def _padded(encoded: str) -> str:
    return encoded + "=" * (-len(encoded) % 4)


@attrs.frozen(kw_only=True)
class SigningSecret(Hidden):
    """A secret that signs webhooks; one that is made in code is checked by `check_webhooks`."""

    @property
    def description(self) -> str:
        """Form, for the documentation."""
        return "secret, `whsec_` and the base64 form of 24 to 64 bytes"

    def read(self, value: object, *, key: str, source: str | None = None) -> Any:
        """Read a secret of the form ``whsec_...``; empty text is None."""
        secret = super().read(value, key=key, source=source)
        return read_secret(secret.reveal(), key=key, source=source) if isinstance(secret, Secret) else None
