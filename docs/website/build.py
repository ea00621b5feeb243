"""Build the site from the repository's Markdown pages: ``python -m docs.website.build``.

The pages are copied to build/website with links that fit the site, and Sphinx builds site/ from them. Then
every link and anchor in the HTML is checked, and llms.txt, llms-full.txt and each page as Markdown are added.
The build fails on a Sphinx warning, a broken link, or a page outside the navigation. It uses no network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from docs.website import links, llms
from docs.website.pages import ROOT, Site, SiteError, moved, navigation, pictures

STAGE = ROOT / "build" / "website"
DOCTREES = ROOT / "build" / "doctrees"
SITE = ROOT / "site"


def stage(site: Site) -> None:
    """Copy the pages to the folder that Sphinx reads."""
    shutil.rmtree(STAGE, ignore_errors=True)
    pages = list(site)
    for page in pages:
        text = moved(page, pages) + (navigation(site) if page is site.start else "")
        _write(STAGE / f"{page.address}.md", text)
    for source in pictures(pages):
        path = STAGE / source
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, path)


def run_sphinx() -> None:
    """Build HTML from the copies.

    Raises:
        SiteError: Sphinx gives a warning or an error.
    """
    shutil.rmtree(SITE, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--builder",
        "html",
        "--conf-dir",
        str(ROOT / "docs" / "website"),
    ]
    command += [
        "--fresh-env",
        "--fail-on-warning",
        "--quiet",
        "--doctree-dir",
        str(DOCTREES),
        str(STAGE),
        str(SITE),
    ]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - our own command
        raise SiteError(
            "Sphinx reports the problems above; line numbers are those of the copies in build/website/"
        )


def check_links() -> int:
    """Check the links in the HTML, and return the number of HTML pages.

    Raises:
        SiteError: a link is broken.
    """
    if broken := list(links.broken_links(SITE)):
        raise SiteError("\n  ".join(["broken links in site/:", *broken]))
    return len(list(SITE.rglob("*.html")))


def write_texts(site: Site) -> None:
    """Write llms.txt, llms-full.txt, and each page as Markdown beside its HTML."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = list(site)
    for page in pages:
        _write(SITE / f"{page.address}.md", moved(page, pages))
    _write(SITE / "llms.txt", llms.index(site, about["name"], about["description"]))
    _write(SITE / "llms-full.txt", llms.full(site, about["name"], about["description"]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    """Build and check the site, and print the result."""
    started = time.monotonic()
    try:
        site = Site.read()
        stage(site)
        run_sphinx()
        count = check_links()
        write_texts(site)
    except SiteError as error:
        print(f"[site]  {error}", file=sys.stderr)
        return 1
    print(
        f"[site]  site/index.html: {len(list(site))} pages, links and anchors of {count} HTML files checked,"
        f" llms.txt written ({time.monotonic() - started:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
