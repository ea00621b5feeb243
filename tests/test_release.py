"""The checks of ``make dist`` find what would make a bad release; it builds nothing itself."""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.release import __main__ as program
from tests.release.contents import (
    Wheel,
    differing_versions,
    missing_archives,
    missing_files,
    missing_templates,
)

ROOT = Path(__file__).resolve().parents[1]


def wheel(name: str = "musicgate", version: str = "1.0", files: tuple[str, ...] = ()) -> Wheel:
    return Wheel(name, version, frozenset(files))


def test_all_distributions_of_the_repository_have_one_version() -> None:
    versions = {
        name: tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "version"
        ]
        for name, folder in program.RELEASED.items()
    }
    assert len(versions) >= 6
    assert len(set(versions.values())) == 1, versions


def test_a_release_has_every_plugin_of_the_repository() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert set(program.RELEASED.values()) == {".", "schemas", *folders}


def test_the_extra_all_has_every_plugin_and_the_other_extras_share_them_out() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    of_plugins = {
        extra: {text.partition(">=")[0] for text in texts}
        for extra, texts in extras.items()
        if extra not in {"c2pa", "mcp", "postgres", "testing", "tracing"}
    }
    plugins = set(program.RELEASED) - {"musicgate", "musicgate-schemas"}
    assert of_plugins.pop("all") == plugins
    assert sorted(name for names in of_plugins.values() for name in names) == sorted(plugins)


def test_a_wheel_is_read_by_its_metadata(tmp_path: Path) -> None:
    path = tmp_path / "musicgate_x-2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("musicgate_x/__init__.py", "")
        archive.writestr(
            "musicgate_x-2.0.dist-info/METADATA", "Metadata-Version: 2.4\nName: musicgate-x\nVersion: 2.0\n"
        )
    read = Wheel.read(path)
    assert (read.name, read.version, read.package) == ("musicgate-x", "2.0", "musicgate_x")
    assert "musicgate_x/__init__.py" in read.files


def test_a_missing_and_an_unexpected_archive_are_named(tmp_path: Path) -> None:
    (tmp_path / "musicgate-1.0-py3-none-any.whl").touch()
    (tmp_path / "musicgate-0.9.tar.gz").touch()
    assert list(missing_archives(tmp_path, [wheel()], ["musicgate", "musicgate-schemas"])) == [
        "musicgate 1.0 has no sdist",
        "musicgate-schemas has no wheel",
        "musicgate-0.9.tar.gz is not expected",
    ]


def test_differing_versions_are_named() -> None:
    assert list(differing_versions([wheel(), wheel("musicgate-schemas")])) == []
    assert list(differing_versions([wheel(), wheel("musicgate-schemas", "1.1")])) == [
        "musicgate has version 1.0",
        "musicgate-schemas has version 1.1",
    ]


def test_a_file_of_the_source_that_a_wheel_lacks_is_named(tmp_path: Path) -> None:
    package = tmp_path / "musicgate"
    (package / "templates").mkdir(parents=True)
    for name in ("__init__.py", "only_for_developers.py", "templates/plugin.py.jinja"):
        (package / name).touch()
    left_out = frozenset({"musicgate/only_for_developers.py"})
    assert list(missing_files(wheel(files=("musicgate/__init__.py",)), tmp_path, left_out)) == [
        "musicgate has no py.typed",
        "musicgate has no musicgate/templates/plugin.py.jinja",
    ]


def test_a_core_without_templates_is_named() -> None:
    assert list(missing_templates(wheel(files=("musicgate/scaffold/templates/x.jinja",)))) == []
    assert list(missing_templates(wheel(files=("musicgate/scaffold/__init__.py",)))) == [
        "musicgate has no templates"
    ]


def test_a_version_other_than_the_released_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "built", lambda: [wheel(), wheel("musicgate-schemas")])
    assert program.check_versions("1.0") == "all distributions have version 1.0"
    with pytest.raises(program.ReleaseError, match=r"have version 1\.0, not 1\.1"):
        program.check_versions("1.1")


def test_the_program_stops_at_the_first_step_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> str:
        raise program.ReleaseError("  the README is empty")

    monkeypatch.setattr(program, "build_all", lambda: "built")
    monkeypatch.setattr(program, "check_metadata", refused)
    monkeypatch.setattr(program, "built", lambda: pytest.fail("a step after the failed one was taken"))
    monkeypatch.setattr(sys, "argv", ["release"])
    assert program.main() == 1
    assert (
        capsys.readouterr().out == "[dist]  built (0.0 s)\n[dist]  metadata failed:\n  the README is empty\n"
    )


def test_locks_agree_on_every_version() -> None:
    """They share one environment, so a package that two of them name has to be the same."""
    versions: dict[str, dict[str, set[str]]] = {}
    for lock in sorted((ROOT / ".ci").glob("requirements*.txt")):
        if lock.name == "requirements-openapi.txt":
            continue  # installed alone, and openapi-python-client has upper bounds
        for name, version in re.findall(
            r"^([\w.-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
        ):
            versions.setdefault(name, {}).setdefault(lock.name, set()).add(version)
    shared = {name: list(found.values()) for name, found in versions.items() if len(found) > 1}
    assert "pygments" in shared
    assert {name: found for name, found in shared.items() if any(one != found[0] for one in found)} == {}
