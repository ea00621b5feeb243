from typing import Any

import attrs
import pytest

from musicgate import JobState
from musicgate.engine.breaker import Breaker, Slice
from musicgate.model import AttemptOutcome, changed
from tests.sample_jobs import LATER, attempt, job


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (job(), {}),
        (job(), {"state": JobState.IN_PROGRESS, "attempts": (attempt(AttemptOutcome.SENT),)}),
        (job(), {"updated_at": LATER, "is_clean": True, "callback_token": "another"}),
        (attempt(AttemptOutcome.SENT), {"outcome": AttemptOutcome.ACCEPTED, "native_id": "task-1"}),
        (Breaker(open_until_s=30.0), {"slices": (Slice(1.0),)}),
    ],
)
def test_changed_copy_is_the_one_that_attrs_makes(value: Any, changes: dict[str, Any]) -> None:
    before = attrs.asdict(value, recurse=False)
    copy = changed(value, **changes)
    assert copy == attrs.evolve(value, **changes)
    assert type(copy) is type(value)
    assert copy is not value
    assert attrs.asdict(value, recurse=False) == before


def test_changed_copy_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        changed(job(), is_clean=True).is_clean = False  # type: ignore[misc]  # on purpose


def test_a_field_that_a_value_does_not_have_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        changed(job(), outcome=AttemptOutcome.SENT)
    with pytest.raises(AttributeError):
        changed(job(), speling=1)
