"""Settings of Sphinx, under Sphinx's own names; build.py beside it prepares the pages."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_ABOUT = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]

project = _ABOUT["name"]
release = _ABOUT["version"]
root_doc = "index"
extensions = ["myst_parser"]
nitpicky = True
#: Links name headings of every level, as on GitHub.
myst_heading_anchors = 6
#: GitHub renders these pages too, so they use GitHub's Markdown only.
myst_disable_syntax = ["colon_fence", "dollarmath", "myst_role", "substitution"]

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_title = f"{project} {release}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_use_index = False
