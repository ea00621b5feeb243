"""Distributions that are broken on purpose, each in one way, as a stranger might publish them: source text, and nothing that runs here."""

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
        label="Stranger",
        base_url="https://stranger.test",
        key_env="STRANGER_API_KEY",
        base_url_env="STRANGER_BASE_URL",
        offers=(Offer(model="{plugin}/v1", native_model="v1"),),
        option_block="{plugin}",
        options_schema={{"type": "object"}},
    )


@hookimpl
def translate_request(request):
    raise LookupError("no words for it")


@hookimpl
def parse_response():
    return JobUpdate()


@hookimpl
def map_status({status_arguments}):
    return JobState.FAILED


class Played:
    def due_callbacks(self, now):
        return ()


@hookimpl
def emulator():
    return Played()
"""


def _provider(
    plugin: str, *, hook_api: int = 1, declares: str = "", status_arguments: str = "native_status"
) -> str:
    return _PROVIDER.format(
        plugin=plugin, hook_api=hook_api, declares=declares, status_arguments=status_arguments
    )


#: Distribution -> (entry-point name, source of its only module).
STRANGERS = {
    "stranger-twin-a": ("twin", _OBSERVER.format(does="pass")),
    "stranger-twin-b": ("twin", _OBSERVER.format(does="pass")),
    "stranger-import": ("cannot_import", "import a_module_that_nobody_has\n"),
    "stranger-exit": ("leaves", "import sys\n\nsys.exit(3)\n"),
    "stranger-syntax": ("cannot_parse", "HOOK_API = = 1\n"),
    "stranger-signature": ("odd_signature", _provider("odd_signature", status_arguments="word, weather")),
    "stranger-declaration": (
        "raises_at_load",
        _provider("raises_at_load", declares='raise RuntimeError("no declaration today")'),
    ),
    "stranger-old": ("old_api", _provider("old_api", hook_api=0)),
    "stranger-translation": ("raises_at_work", _provider("raises_at_work")),
    "stranger-observer": ("raises_at_news", _OBSERVER.format(does='raise OSError("no news today")')),
}


def write(distribution: str, folder: Path) -> None:
    """Write the source tree of one of them."""
    plugin, source = STRANGERS[distribution]
    module = distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    (folder / "pyproject.toml").write_text(
        _PYPROJECT.format(distribution=distribution, plugin=plugin, module=module)
    )
