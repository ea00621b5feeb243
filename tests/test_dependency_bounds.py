"""Lower bounds of the dependencies: raised by security advisories, and respected by the locks."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECTS = sorted(
    path for path in ROOT.glob("**/pyproject.toml") if not {".venv", "node_modules"} & set(path.parts)
)


def declared(project: Path) -> list[Requirement]:
    """The requirements of a distribution and its extras."""
    table = tomllib.loads(project.read_text("utf-8"))["project"]
    extras = table.get("optional-dependencies", {}).values()
    return [Requirement(text) for texts in (table.get("dependencies", []), *extras) for text in texts]


def locked(lock: Path) -> dict[str, Version]:
    """The exact versions of a lock."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text("utf-8"), re.MULTILINE)
    return {name: Version(version) for name, version in found}


@pytest.mark.parametrize(("name", "last_unsafe"), [("aiohttp", "3.14.2"), ("filelock", "3.20.2")])
def test_lower_bounds_exclude_versions_with_a_known_vulnerability(name: str, last_unsafe: str) -> None:
    (bound,) = (requirement for requirement in declared(ROOT / "pyproject.toml") if requirement.name == name)
    assert not bound.specifier.contains(last_unsafe)
    assert f"{name}{bound.specifier}" in (ROOT / "SECURITY.md").read_text("utf-8")


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-container.txt", "requirements-dev.txt"])
def test_no_lock_holds_a_version_below_a_bound(lock: str) -> None:
    versions = locked(ROOT / ".ci" / lock)
    assert "aiohttp" in versions
    broken = [
        f"{project.parent.name}: {requirement}, locked {versions[requirement.name]}"
        for project in PROJECTS
        for requirement in declared(project)
        if requirement.name in versions and not requirement.specifier.contains(versions[requirement.name])
    ]
    assert broken == []


def test_no_dependency_has_an_upper_bound_but_the_one_whose_statements_are_replaced() -> None:
    capped = [
        requirement.name
        for project in PROJECTS
        for requirement in declared(project)
        if any(clause.operator not in {">=", "!="} for clause in requirement.specifier)
    ]
    assert capped == ["pgqueuer"]
