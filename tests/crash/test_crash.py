"""A short campaign of kills and other faults, after which store, vendors and callers agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.__main__ import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(240)
async def test_no_request_is_lost_or_made_twice_by_kills(tmp_path: Path) -> None:
    campaign, found = await run(tmp_path, kills=11, seed=7, faults=True)
    assert found == [], campaign.harness.log_tail()
    assert sum(campaign.kills.values()) == 11
    assert {name.partition(" at")[0] for name in campaign.disturbed} == {
        "SIGSTOP",
        "disk full",
        "vendor nonsense",
    }
    assert len(campaign.answers) > len(campaign.requests) > 22
    assert campaign.owners.checked + campaign.owners.unable >= 3
