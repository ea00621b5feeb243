"""Render the draft of a plugin distribution and write it; the only importer of the template engine.

A template's path below ``templates`` is its file's path in the distribution, with the plugin's name for
``NAME`` and without the suffix ``.jinja``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2

from musicgate.plugin import HOOK_API
from musicgate.scaffold.vendor import Callback, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from musicgate.scaffold.names import Names
    from musicgate.scaffold.vendor import Vendor

_SUFFIX = ".jinja"


def render(names: Names, vendor: Vendor, *, musicgate_version: str, today: date) -> dict[str, str]:
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
        **_values(names, vendor),
        "hook_api": HOOK_API,
        "musicgate_version": musicgate_version,
        "date": today.isoformat(),
    }
    return {
        path.replace("NAME", names.name).removesuffix(_SUFFIX): environment.get_template(path).render(values)
        for path in environment.list_templates()
        if "__pycache__" not in path
    }


def _values(names: Names, vendor: Vendor) -> dict[str, object]:
    """What the templates may name."""
    fields = ("name", "provider", "distribution", "package", "label", "camel", "env")
    models = {f"{names.provider}/{model.lower()}": model for model in vendor.models}
    pairs = ", ".join(f'"{public}": "{native}"' for public, native in models.items())
    signature = {Callback.HMAC_BODY: "body", Callback.HMAC_PARTS: "parts"}.get(vendor.callback)
    return {
        **{field: getattr(names, field) for field in fields},
        **{kind.value: vendor.kind is kind for kind in Kind},
        "models": list(models.items()),
        "models_line": f"MODELS: Final = {{{pairs}}}",
        "auth_header": vendor.auth_header,
        "auth_scheme": vendor.auth_scheme,
        "custom_auth": (vendor.auth_header, vendor.auth_scheme) != ("Authorization", "Bearer"),
        "base_url": vendor.base_url or f"https://api.{names.name.replace('_', '-')}.example",
        "own_url": vendor.base_url is not None,
        "callbacks": vendor.callback is not Callback.NONE,
        "signature": signature,
        "cancel": vendor.cancel,
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
