"""Write the generated pages of this folder; the modules beside this one render them.

`python docs/generate.py` writes the pages. With `--check` it names stale ones and exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, Python looks beside this file only

from docs.case_files_page import case_files_page  # noqa: E402  after the path is set
from docs.declarations_page import errors_page, fields_page  # noqa: E402
from docs.hooks_page import hooks_page  # noqa: E402
from docs.metrics_page import metrics_page  # noqa: E402
from docs.providers_page import providers_page  # noqa: E402
from docs.settings_page import settings_page  # noqa: E402
from docs.testing_page import testing_page  # noqa: E402
from musicgate.hosting.discovery import load_plugins  # noqa: E402
from musicgate.model import Provider  # noqa: E402


def repository_plugins() -> list[Provider]:
    """Declarations of the plugins of this repository, whatever else is installed."""
    names = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))
    host = load_plugins({name: import_module(f"musicgate_{name}") for name in names}, installed=False)
    broken = [f"{record.name}: {record.error}" for record in host.records if record.error]
    if broken:
        sys.exit("\n".join(broken))
    return [plugin.provider for plugin in host.providers.values()]


def pages() -> dict[Path, str]:
    """The text of each generated page."""
    plugins = repository_plugins()
    return {
        ROOT / "docs" / "errors.md": errors_page(),
        ROOT / "docs" / "fields.md": fields_page(),
        ROOT / "docs" / "case-files.md": case_files_page(),
        ROOT / "docs" / "hooks.md": hooks_page(),
        ROOT / "docs" / "metrics.md": metrics_page(),
        ROOT / "docs" / "testing.md": testing_page(),
        ROOT / "docs" / "providers.md": providers_page(plugins),
        ROOT / "docs" / "settings.md": settings_page(plugins),
    }


def main() -> None:
    """Write the pages, or name the stale ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is stale")
    check = parser.parse_args().check
    texts = pages()
    stale = [
        path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"stale: {names}; run `make docs`")
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")


if __name__ == "__main__":
    main()
