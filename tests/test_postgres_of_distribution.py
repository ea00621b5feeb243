"""The contract of stores on the oldest PostgreSQL that the operating system has."""

from collections.abc import Iterator

import pytest

from tests.postgres_servers import Postgres, postgres_of_distribution
from tests.test_store_contract import TestPostgres as _TestPostgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of that version, for the tests of this file."""
    with postgres_of_distribution() as server:
        yield server


class TestPostgresOfDistribution(_TestPostgres):
    """All of it, on the older server."""
