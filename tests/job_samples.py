"""Jobs, events and idempotency claims for tests; the contract of job stores has them."""

from musicgate.testing.store_contract.samples import (
    NOW,
    ended,
    make_claim,
    make_delivery,
    make_event,
    make_job,
)

__all__ = ["NOW", "ended", "make_claim", "make_delivery", "make_event", "make_job"]
