"""Signatures by a published key pair (ED25519), for callbacks without a shared secret.

Python's standard library has none, so they are checked with ``cryptography`` where it is installed.
"""

from __future__ import annotations

import base64
from importlib.util import find_spec

from musicgate.plugin import lenient


def signed_by_jwks(key_set: str, signature: str, message: bytes) -> bool | None:
    """True if one of the keys signed the message; None where that cannot be checked.

    Args:
        key_set: JSON text of the public keys (RFC 8037); empty = there are none, and nothing is checked.
        signature: in hexadecimal digits.
    """
    if not key_set or find_spec("cryptography") is None:
        return None
    from cryptography.exceptions import InvalidSignature  # type: ignore[import-not-found,unused-ignore]
    from cryptography.hazmat.primitives.asymmetric import (  # type: ignore[import-not-found,unused-ignore]
        ed25519,
    )

    for key in lenient.items(lenient.mapping(lenient.json_text(key_set)).get("keys")):
        try:
            raw = base64.urlsafe_b64decode(f"{key.get('x')}==")
            ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
