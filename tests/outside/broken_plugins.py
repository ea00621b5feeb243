"""Distributions of plugins that are broken on purpose, each in one way, as source text."""

from __future__ import annotations

from pathlib import Path

_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "1.2.3"
dependencies = ["musicgate"]

[project.entry-points.musicgate]
{plugin} = "{module}"

[tool.hatch.build.targets.wheel]
include = ["{module}.py"]
"""

_OBSERVER = """\
from musicgate import hookimpl

HOOK_API = 1


@hookimpl
def job_changed(before, after):
    {does}
"""

_PROVIDER = """\
from musicgate import JobState, JobUpdate, Offer, Provider, hookimpl

HOOK_API = {hook_api}


@hookimpl
def provider():
    {declares}
    return Provider(
        name="{plugin}",
        plugin="{plugin}",
        label="Broken",
        base_url="https://broken.test",
        key_env="BROKEN_API_KEY",
        base_url_env="BROKEN_BASE_URL",
        offers=(Offer(model="{plugin}/v1", native_model="v1"),),
        option_block="{plugin}",
        options_schema={{"type": "object"}},
    )


@hookimpl
def translate_request(request):
    raise LookupError("cannot be translated")


@hookimpl
def parse_response():
    return JobUpdate()


@hookimpl
def map_status({status_arguments}):
    return JobState.FAILED


class Emulator:
    def due_callbacks(self, now):
        return ()


@hookimpl
def emulator():
    return Emulator()
"""


def _provider(
    plugin: str, *, hook_api: int = 1, declares: str = "", status_arguments: str = "native_status"
) -> str:
    return _PROVIDER.format(
        plugin=plugin, hook_api=hook_api, declares=declares, status_arguments=status_arguments
    )


#: Distribution -> (entry-point name, source of its only module).
BROKEN_PLUGINS = {
    "broken-duplicate-a": ("duplicate", _OBSERVER.format(does="pass")),
    "broken-duplicate-b": ("duplicate", _OBSERVER.format(does="pass")),
    "broken-import": ("cannot_import", "import a_module_that_does_not_exist\n"),
    "broken-exit": ("leaves", "import sys\n\nsys.exit(3)\n"),
    "broken-syntax": ("cannot_parse", "HOOK_API = = 1\n"),
    "broken-signature": ("odd_signature", _provider("odd_signature", status_arguments="native_status, job")),
    "broken-declaration": (
        "raises_at_load",
        _provider("raises_at_load", declares='raise RuntimeError("not today")'),
    ),
    "broken-old": ("old_api", _provider("old_api", hook_api=0)),
    "broken-translation": ("raises_in_translation", _provider("raises_in_translation")),
    "broken-observer": ("raises_in_observer", _OBSERVER.format(does='raise OSError("not today")')),
}


def write(distribution: str, folder: Path) -> None:
    """Write the source tree of a distribution."""
    plugin, source = BROKEN_PLUGINS[distribution]
    module = distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    (folder / "pyproject.toml").write_text(
        _PYPROJECT.format(distribution=distribution, plugin=plugin, module=module)
    )
