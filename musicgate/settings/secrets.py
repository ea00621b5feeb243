"""Checks the form of webhook signing secrets; `musicgate.webhooks` signs with them."""

from __future__ import annotations

import base64
import binascii

from musicgate.errors import ConfigError
from musicgate.model import Secret

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
