"""Validates with two implementations at once: Python's jsonschema tells the violations, Rust's must agree."""

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from musicgate_schemas import by_id, load

Path = tuple[str | int, ...]
Violations = Callable[[str, object], list[tuple[Path, str]]]


@pytest.fixture(scope="session")
def registry() -> Registry[Any]:
    """All published schemas, and no way to fetch another one."""
    resources = ((uri, Resource.from_contents(schema)) for uri, schema in by_id().items())
    return Registry().with_resources(resources)


@pytest.fixture(scope="session")
def violations(registry: Registry[Any]) -> Violations:
    """A function (schema name, instance) -> [(path, keyword)], in the order of jsonschema."""
    rust_registry = jsonschema_rs.Registry(list(by_id().items()))

    def check(name: str, instance: object) -> list[tuple[Path, str]]:
        schema = load(name)
        reference = list(Draft202012Validator(schema, registry=registry).iter_errors(instance))
        rust = list(jsonschema_rs.validator_for(schema, registry=rust_registry).iter_errors(instance))
        paths = {tuple(error.absolute_path) for error in reference}
        assert {tuple(error.instance_path) for error in rust} == paths, "the two implementations disagree"
        return [(tuple(error.absolute_path), str(error.validator)) for error in reference]

    return check
