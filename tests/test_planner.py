"""The planner reads request bodies: what the schema cannot refuse is refused here."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from musicgate.codec.schema import SchemaValidator, compose_request_schema
from musicgate.errors import InvalidRequestError, RequestError
from musicgate.planning.plan import Planner


@pytest.fixture
def planner() -> Planner:
    """A planner without any provider."""
    return Planner(MappingProxyType({}), SchemaValidator(compose_request_schema({})))
