"""Short campaigns of kills and other faults, after which store, vendors and callers agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.__main__ import run, run_replicas
from tests.postgres_servers import without_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_servers import Postgres


# The moments of the kills follow one another in `campaign.MOMENTS`, from that of the seed on: what one of the
# campaigns leaves out is in the other one.


@pytest.mark.timeout(240)
async def test_no_request_is_lost_or_made_twice_by_kills(tmp_path: Path) -> None:
    campaign, found = await run(tmp_path, kills=7, seed=1, faults=True)
    assert found == [], campaign.harness.log_tail()
    assert sum(campaign.kills.values()) == 7
    assert {name.partition(" at")[0] for name in campaign.disturbed} == {
        "SIGSTOP",
        "disk full",
        "vendor nonsense",
    }
    assert len(campaign.answers) > len(campaign.requests) > 14
    assert campaign.owners.checked + campaign.owners.unable >= 2


@pytest.mark.timeout(240)
async def test_replicas_lose_nothing_and_keep_every_limit(tmp_path: Path, postgres: Postgres) -> None:
    await without_schema(postgres.url)
    campaign, found = await run_replicas(
        tmp_path, kills=3, seed=8, database=postgres, heartbeat_s=2.0, slow_s=30.0
    )
    await without_schema(postgres.url)
    assert found == [], campaign.harness.log_tail()
    assert (sum(campaign.kills.values()), sum(campaign.stops.values())) == (2, 1)
    assert sum(campaign.restarts.values()) == 1
    assert campaign.owners.checked >= 1
