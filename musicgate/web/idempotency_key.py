"""The ``Idempotency-Key`` header.

Source: IETF draft-ietf-httpapi-idempotency-key-header-07, 2025: the key is a structured-field string. Bare
keys occur in practice and are accepted.
"""

from __future__ import annotations

import re

from musicgate.errors import RequestError
from musicgate.gateway import IdempotencyKey

#: Scope of the keys of create calls, beside the account: every way to make a song shares it.
CREATE_SCOPE = "POST /v1/music/generate"
_MAX_CHARS = 255
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x7e]+")


def read_key(header: str | None, route: str, body: object) -> IdempotencyKey | None:
    """Read the key of a request; None when it has none.

    Args:
        header: value of ``Idempotency-Key``, quoted or bare.
        route: the scope of the key, beside the account.
        body: the parsed body, as sent.

    Raises:
        RequestError: the header is empty, too long, or holds characters that a key cannot have.
    """
    if header is None:
        return None
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not key or len(key) > _MAX_CHARS or not (quoted or _BARE.fullmatch(text)):
        message = f"Idempotency-Key must be 1 to {_MAX_CHARS} printable characters, quoted or bare"
        raise RequestError("validation_error", message, reason="invalid_idempotency_key")
    return IdempotencyKey.of(key, body, route)
