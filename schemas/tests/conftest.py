"""Validate with three implementations at once: jsonschema (Python) reports, Rust's and Ajv must agree."""

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from musicgate_schemas import by_id, load
from schemas.tests.judge import Ajv, started_ajv

Path = tuple[str | int, ...]
Violations = Callable[[str, object], list[tuple[Path, str]]]


@pytest.fixture(scope="session")
def ajv() -> Iterator[Ajv]:
    """Ajv in strict mode, with the published files and no way to fetch others."""
    with started_ajv() as judge:
        yield judge


@pytest.fixture(scope="session")
def registry() -> Registry[Any]:
    """All published schemas, with no way to fetch others."""
    resources = ((uri, Resource.from_contents(schema)) for uri, schema in by_id().items())
    return Registry().with_resources(resources)


@pytest.fixture(scope="session")
def violations(registry: Registry[Any], ajv: Ajv) -> Violations:
    """A function (schema name, instance) -> [(path, keyword)], in the order of jsonschema."""
    rust_registry = jsonschema_rs.Registry(list(by_id().items()))

    def check(name: str, instance: object) -> list[tuple[Path, str]]:
        schema = load(name)
        reference = list(Draft202012Validator(schema, registry=registry).iter_errors(instance))
        paths = {tuple(error.absolute_path) for error in reference}
        rust = list(jsonschema_rs.validator_for(schema, registry=rust_registry).iter_errors(instance))
        assert {tuple(error.instance_path) for error in rust} == paths, "Rust's jsonschema disagrees"
        verdict = ajv.ask(schema["$id"], instance)
        assert verdict.error == ""
        # Ajv also reports each failed branch of an anyOf, so it may have more paths, but never fewer.
        assert bool(verdict.paths) == bool(paths), "Ajv disagrees"
        assert {pointer(path) for path in paths} <= verdict.paths, "Ajv refuses something else"
        return [(tuple(error.absolute_path), str(error.validator)) for error in reference]

    return check


def pointer(path: Path) -> str:
    """A path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
