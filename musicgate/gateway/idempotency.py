"""Idempotency keys: recognise the same request by its fingerprint. `musicgate.web` reads the header.

A key belongs to an account and a route. With the same body it answers with the same job, with another body it
is refused (422).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import RequestError
from musicgate.model import IdempotencyClaim

if TYPE_CHECKING:
    from musicgate.model import Job

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_KEYS_AT_ONCE = 1_000


@attrs.frozen(kw_only=True)
class IdempotencyKey:
    """A caller's key and the digest of the body that it came with."""

    route: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, body: object, route: str = "create") -> IdempotencyKey:
        """Make a key for a parsed body, as it was sent."""
        return cls(route=route, key=key, fingerprint=fingerprint(body))

    def check(self, earlier: IdempotencyClaim) -> None:
        """Return if an earlier use had the same body.

        Raises:
            RequestError: 422, it had another one.
        """
        if earlier.fingerprint != self.fingerprint:
            message = "this Idempotency-Key was used with another body; use a new key for a new request"
            raise RequestError("validation_error", message, reason="idempotency_key_reused", http_status=422)


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
