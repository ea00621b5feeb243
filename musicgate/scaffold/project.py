"""Render the draft of a plugin distribution and write it; the only importer of the template engine.

A template's path below ``templates/shared`` and ``templates/<kind>`` is its file's path in the distribution,
with the plugin's name for ``NAME`` and without the suffix ``.jinja``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import jinja2

from musicgate.plugin import HOOK_API

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from musicgate.scaffold.names import Names

_SHARED = "shared"
_SUFFIX = ".jinja"


class Kind(StrEnum):
    """How the vendor delivers."""

    #: A create call, then polls (and callbacks) until the song is done.
    POLLING = "polling"
    #: One call that lasts as long as the song.
    BLOCKING = "blocking"


def render(names: Names, kind: Kind, *, musicgate_version: str, today: date) -> dict[str, str]:
    """Render the files of a draft: path below the distribution's folder -> text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("musicgate.scaffold"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - writes Python, TOML and Markdown, never a web page
    )
    values = {
        field: getattr(names, field)
        for field in ("name", "provider", "distribution", "package", "label", "camel", "env")
    }
    values |= {"hook_api": HOOK_API, "musicgate_version": musicgate_version, "date": today.isoformat()}
    values |= {each.value: kind is each for each in Kind}
    return {
        path.replace("NAME", names.name).removesuffix(_SUFFIX): environment.get_template(template).render(
            values
        )
        for template in environment.list_templates()
        for folder, _, path in (template.partition("/"),)
        if folder in {_SHARED, kind.value} and "__pycache__" not in path
    }


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write a draft into a new folder.

    Raises:
        FileExistsError: the folder exists already.
    """
    folder.mkdir(parents=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
