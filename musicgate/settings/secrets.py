"""Reads the signing secrets of webhooks; what is signed with them is `musicgate.webhooks`."""

from __future__ import annotations

import base64
import binascii

from musicgate.errors import ConfigError
from musicgate.model import Secret

#: The specification: at least 192 bits, at most 512.
_MIN_BYTES, _MAX_BYTES = 24, 64
_PREFIX = "whsec_"


def read_secret(text: str, *, key: str, source: str | None = None) -> Secret:
    """A signing secret as it stands in a setting, checked. The complaint never shows it.

    Raises:
        ConfigError: it is not ``whsec_`` and the base64 form of 24 to 64 bytes.
    """
    encoded = text.strip()
    try:
        # The library passes over characters that are not base64, so it would sign with something else than was meant.
        size = len(base64.b64decode(_padded(encoded.removeprefix(_PREFIX)), validate=True))
    except (ValueError, binascii.Error):
        size = 0
    if not encoded.startswith(_PREFIX) or not _MIN_BYTES <= size <= _MAX_BYTES:
        message = f"must be {_PREFIX} and the base64 form of {_MIN_BYTES} to {_MAX_BYTES} random bytes"
        raise ConfigError(message, key=key, source=source)
    return Secret(encoded)


def _padded(encoded: str) -> str:
    return encoded + "=" * (-len(encoded) % 4)
