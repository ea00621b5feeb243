"""Check the TypeScript client as its users get it: `make client-check`.

The types are up to date. The sources are formatted and compile, and those of the main entry do without
Node.js. The packed archive is installed into an empty folder; there its declarations and the examples of the
README type-check, and the tests run.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.outside.environment import run
from tests.typescript.package import TSC, compile_client, install, pack
from tests.typescript.schema import WRITTEN, make_types
from tests.typescript.server import CLIENT, NODE, run_tests

if TYPE_CHECKING:
    from collections.abc import Callable


def check_types() -> str:
    """Compare the generated types with the schemas."""
    assert WRITTEN.read_text(encoding="utf-8") == make_types(), "schema.ts is out of date: run `make client`"
    return "the types are those of the schemas"


def check_format() -> str:
    """Check the format of sources and tests."""
    run([NODE, "node_modules/prettier/bin/prettier.cjs", "--check", "."], cwd=CLIENT)
    return "prettier changes nothing"


def check_entry() -> str:
    """Compile everything, and the main entry where Node.js and its types do not exist."""
    compile_client()
    run([NODE, TSC, "--project", CLIENT / "tsconfig.browser.json"], cwd=CLIENT)
    return "it compiles, and the main entry needs nothing of Node.js"


def check_package() -> str:
    """Pack the client, and check the archive."""
    with tempfile.TemporaryDirectory(prefix="musicgate-client-") as name:
        return check_archive(pack(Path(name).resolve()))


def check_archive(archive: Path) -> str:
    """Install an archive, check the types that users get, and run the tests on it."""
    with tempfile.TemporaryDirectory(prefix="musicgate-client-") as name:
        folder = Path(name).resolve()
        install(archive, folder)
        examples = examples_of_readme()
        for number, example in enumerate(examples):
            (folder / f"example-{number}.ts").write_text(example, encoding="utf-8")
        modules = {"typeRoots": [str(CLIENT / "node_modules" / "@types")]}
        type_check(folder, ["*.ts", "tests"], modules)
        # As bundlers for browsers resolve it; this checks the declarations themselves, too.
        (folder / "page.ts").write_text('export * from "musicgate";\n', encoding="utf-8")
        bundler = {"types": [], "module": "esnext", "moduleResolution": "bundler"}
        type_check(folder, ["page.ts"], {**bundler, "skipLibCheck": False, "skipDefaultLibCheck": True})
        code, output = asyncio.run(run_tests(folder))
        assert code == 0, output
        counts = dict(re.findall(r"^# (tests|pass|fail) (\d+)$", output, flags=re.MULTILINE))
    assert int(counts["pass"]) > 40, output
    return (
        f"{archive.name} works in an empty folder: {len(examples)} examples type-check, "
        f"{counts['pass']} tests pass"
    )


def type_check(folder: Path, include: list[str], options: dict[str, Any]) -> None:
    """Type-check files in a folder as strictly as our own."""
    settings = {
        "extends": str(CLIENT / "tests" / "tsconfig.json"),
        "compilerOptions": {"rootDir": ".", **options},
        "include": include,
    }
    (folder / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    run([NODE, TSC, "--project", folder], cwd=folder)


def examples_of_readme() -> list[str]:
    """The TypeScript of the README, each block a program."""
    return re.findall(
        r"^```ts\n(.*?)^```$", (CLIENT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE
    )


def main() -> int:
    """Run every check in order, and stop at the first that fails."""
    steps: tuple[Callable[[], str], ...] = (check_types, check_format, check_entry, check_package)
    for step in steps:
        started = time.monotonic()
        try:
            sentence = step()
        except AssertionError as error:
            print(f"[client] {step.__name__} failed:\n{error}", flush=True)
            return 1
        print(f"[client] {sentence} ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
