"""Idempotency keys: read the header, and recognise the same request by its fingerprint.

A key belongs to an account and a route. With the same body it answers with the same job, with another body it
is refused (422).
Source: IETF draft-ietf-httpapi-idempotency-key-header-07, 2025: the key is a structured-field string. Bare
keys occur in practice and are accepted.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import RequestError
from musicgate.model import IdempotencyClaim

if TYPE_CHECKING:
    from musicgate.model import Job

_MAX_CHARS = 255
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_KEYS_AT_ONCE = 1_000
_BARE = re.compile(r"[\x21\x23-\x7e]+")


@attrs.frozen(kw_only=True)
class IdempotencyKey:
    """A caller's key and the digest of the body that it came with."""

    route: str
    key: str
    fingerprint: str

    def check(self, earlier: IdempotencyClaim) -> None:
        """Return if an earlier use had the same body.

        Raises:
            RequestError: 422, it had another one.
        """
        if earlier.fingerprint != self.fingerprint:
            message = "this Idempotency-Key was used with another body; use a new key for a new request"
            raise RequestError("validation_error", message, reason="idempotency_key_reused", http_status=422)


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
    return IdempotencyKey(route=route, key=key, fingerprint=fingerprint(body))


def claim_of(key: IdempotencyKey, job: Job) -> IdempotencyClaim:
    """The use of a key for a new job."""
    return IdempotencyClaim(
        account=job.account,
        route=key.route,
        key=key.key,
        fingerprint=key.fingerprint,
        job_id=job.id,
        created_at=job.created_at,
    )


def fingerprint(body: object) -> str:
    """Digest of a body; the order of keys and white space do not matter.

    A wide object is encoded in pieces: encoding JSON cannot be interrupted, and even on a thread it holds up
    the loop.
    """
    digest = hashlib.sha256()
    if not isinstance(body, dict):
        digest.update(_ENCODER.encode(body).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
    names = sorted(body)
    for start in range(0, max(1, len(names)), _KEYS_AT_ONCE):
        piece = {name: body[name] for name in names[start : start + _KEYS_AT_ONCE]}
        digest.update(b"," if start else b"{")
        digest.update(_ENCODER.encode(piece)[1:-1].encode("utf-8", "surrogatepass"))
    digest.update(b"}")
    return digest.hexdigest()
