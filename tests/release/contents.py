"""Checks what the built distributions hold; reads wheels and sdists, and installs nothing."""

from __future__ import annotations

import email
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

#: Where a package keeps files that are copied or filled in rather than imported.
TEMPLATES = "/templates/"


@attrs.frozen
class Wheel:
    """A built wheel: what its metadata says and which files it holds."""

    name: str
    version: str
    files: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read a wheel; its name and version come from its metadata."""
        with zipfile.ZipFile(path) as archive:
            files = frozenset(archive.namelist())
            (metadata,) = [name for name in files if name.endswith(".dist-info/METADATA")]
            about = email.message_from_bytes(archive.read(metadata))
        return cls(str(about["Name"]), str(about["Version"]), files)

    @property
    def package(self) -> str:
        """Name of its import package."""
        return self.name.replace("-", "_")


def missing_archives(folder: Path, wheels: Iterable[Wheel], names: Iterable[str]) -> Iterator[str]:
    """Distributions without a wheel or an sdist, and files that belong to none of them."""
    built = {wheel.name: wheel for wheel in wheels}
    expected: set[str] = set()
    for name in names:
        if name not in built:
            yield f"{name} has no wheel"
            continue
        wheel = built[name]
        stem = f"{wheel.package}-{wheel.version}"
        expected |= {f"{stem}-py3-none-any.whl", f"{stem}.tar.gz"}
        if not (folder / f"{stem}.tar.gz").is_file():
            yield f"{name} {wheel.version} has no sdist"
    yield from (
        f"{path.name} is not expected" for path in sorted(folder.iterdir()) if path.name not in expected
    )


def differing_versions(wheels: Iterable[Wheel]) -> Iterator[str]:
    """Every distribution with its version, unless all have the same one."""
    versions = {wheel.name: wheel.version for wheel in wheels}
    if len(set(versions.values())) > 1:
        yield from (f"{name} has version {version}" for name, version in sorted(versions.items()))


def missing_files(wheel: Wheel, source: Path, left_out: frozenset[str] = frozenset()) -> Iterator[str]:
    """Files of the source that the wheel lacks, and a wheel without type information.

    Args:
        wheel: the wheel to check.
        source: the folder that holds the import package.
        left_out: files that the wheel leaves out on purpose, relative to ``source``.
    """
    if f"{wheel.package}/py.typed" not in wheel.files:
        yield f"{wheel.name} has no py.typed"
    for path in sorted((source / wheel.package).rglob("*")):
        name = path.relative_to(source).as_posix()
        if path.is_file() and "__pycache__" not in path.parts and name not in wheel.files | left_out:
            yield f"{wheel.name} has no {name}"


def missing_templates(wheel: Wheel) -> Iterator[str]:
    """A complaint if the wheel holds no templates."""
    if not any(TEMPLATES in name for name in wheel.files):
        yield f"{wheel.name} has no templates"
