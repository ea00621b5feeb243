"""What `musicgate` exports: closed under its own signatures, and free until it is used."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator

import attrs
import pytest

import musicgate
import musicgate.plugin

#: Modules that are programs, or need what only tests and authors install.
_NOT_FOR_APPLICATIONS = ("__main__", "cli", "emulation", "scaffold", "testing", "web")
PUBLIC: list[str] = vars(musicgate)["__all__"]
_RAISES = re.compile(r"^ *(\w+Error): ", re.MULTILINE)


def own_classes() -> dict[str, type]:
    """Every class that musicgate defines, by name."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(musicgate.__path__, "musicgate."):
        if module.name.removeprefix("musicgate.").startswith(_NOT_FOR_APPLICATIONS):
            continue
        found |= {
            name: value
            for name, value in vars(importlib.import_module(module.name)).items()
            if inspect.isclass(value) and value.__module__ == module.name and not name.startswith("_")
        }
    return found


def signature_texts(thing: object) -> Iterator[str]:
    """Annotations and documented errors of a function, or of a class's public members."""
    if inspect.isclass(thing):
        if attrs.has(thing):
            yield from (str(field.type) for field in attrs.fields(thing) if not field.name.startswith("_"))
        members = [member for name, member in vars(thing).items() if not name.startswith("_")]
    else:
        members = [thing]
    for member in members:
        function = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
        function = inspect.unwrap(function) if callable(function) else function
        if inspect.isfunction(function):
            yield from map(str, function.__annotations__.values())
            yield from _RAISES.findall(function.__doc__ or "")


def named_in(thing: object, known: dict[str, type]) -> set[str]:
    """Names of musicgate's own classes that the signatures of a public thing mention."""
    return {word for text in signature_texts(thing) for word in re.findall(r"\w+", text) if word in known}


class _Example:
    """A class as the walk has to see it."""

    def method(self, job: "musicgate.Job | None") -> "list[musicgate.Track]":
        """Raise `musicgate.StorageError`.

        Raises:
            StorageError: always.
        """
        raise musicgate.StorageError(str(job))

    @property
    def settings(self) -> "musicgate.Settings":
        """The settings."""
        return musicgate.Settings()

    def _private(self) -> "musicgate.Failure":
        raise NotImplementedError


def test_the_walk_sees_arguments_results_properties_and_errors() -> None:
    assert named_in(_Example, own_classes()) == {"Job", "Track", "StorageError", "Settings"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_class_in_a_public_signature_is_public(name: str) -> None:
    public = {*PUBLIC, *musicgate.plugin.__all__}
    missing = named_in(getattr(musicgate, name), own_classes()) - public
    assert sorted(missing) == []


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Wobble"):
        _ = musicgate.Wobble  # type: ignore[attr-defined]


def loaded_after(code: str) -> set[str]:
    """Names of the modules that an own interpreter has loaded after some code."""
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return set(done.stdout.split())


HEAVY = {"aiohttp", "asyncio", "jsonschema", "pluggy", "rich", "sqlite3"}


def test_importing_musicgate_loads_nothing_heavy() -> None:
    assert not HEAVY & loaded_after("import musicgate")


def test_what_a_plugin_imports_loads_no_http_and_no_database() -> None:
    loaded = loaded_after("import musicgate.plugin")
    assert not (HEAVY - {"pluggy"}) & loaded


def test_gateway_itself_loads_no_http_client_and_no_database() -> None:
    assert not {"aiohttp", "sqlite3"} & loaded_after("from musicgate import Gateway")
