"""``musicgate doctor`` against set-ups that are broken on purpose, and what it must leave alone."""

import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import attrs
import pytest
from aiohttp import web
from click.testing import CliRunner

from musicgate import hosting
from musicgate.assets import AudioKind, ffmpeg
from musicgate.assets.convert import MADE
from musicgate.cli import checks_here, cli
from musicgate.cli.checks import Check, Verdict, check_lines, failed, ok, render_checks, warning
from musicgate.cli.checks_of_vendors import clock, key_trouble, keys, reachable
from musicgate.hosting import InstalledProvider, discovery, installed_providers, load_plugins
from musicgate.http import Proxies, reach
from musicgate.model import Secret
from musicgate.settings import AssetSettings, ServerSettings, Settings, StoreSettings
from musicgate.store.sqlite import SqliteJobStore
from musicgate.store.sqlite_migrate import migrations
from musicgate.views import render_live

KEY = "0123456789abcdef-not-real"


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without keys and settings of this machine, and any free port."""
    for name in list(os.environ):
        if name.startswith(("MUSICGATE_", "KIE_", "APIIN_", "ELEVENLABS_", "FAL_", "MINIMAX_", "ACESTEP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MUSICGATE_SERVER__PORT", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(*arguments: str) -> tuple[int, dict[str, list[Check]], str]:
    """Exit code, checks by name, and all that was printed. Nothing outside of this machine is asked."""
    done = CliRunner().invoke(cli, ["doctor", "--offline", "--json", *arguments])
    answer = json.loads(done.stdout)
    found: dict[str, list[Check]] = {}
    for item in answer["checks"]:
        check = Check(item["name"], Verdict(item["verdict"]), item["message"], item["mend"] or "")
        found.setdefault(check.name, []).append(check)
    assert answer["ok"] is (done.exit_code == 0)
    return done.exit_code, found, done.output


def provider(plugin: str = "suno_kie", key: str | None = KEY, base_url: str = "") -> InstalledProvider:
    tables = {plugin: {"api_key": key} if key else {}}
    if base_url:
        tables[plugin]["base_url"] = base_url
    return installed_providers(Settings(providers=tables), load_plugins())[plugin]


# --- lines and exit codes ---


def test_machine_that_is_well_has_one_line_for_each_check(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", KEY)
    code, found, text = doctor()
    assert code == 0
    assert list(found) == ["settings", "plugins", "ffmpeg", "key", "store", "disk", "audio", "port"]
    assert found["key"][0] == ok("key", "suno_kie: is set")
    assert found["settings"][0].message == "no file and 1 environment variable"
    assert KEY not in text
    assert not (clean / "data").exists()


def test_lines_have_the_mend_behind_the_finding() -> None:
    checks = [ok("a", "fine"), warning("long", "odd", "look"), failed("b", "broken\x1b[2J", "mend it")]
    assert check_lines(checks) == [
        "ok       a     fine",
        "warning  long  odd; look",
        "failed   b     broken\\x1b[2J; mend it",
    ]
    assert render_checks(checks)["ok"] is False
    assert render_checks(checks[:2])["ok"] is True


def test_wrong_setting_is_told_and_the_rest_is_checked(clean: Path) -> None:
    (clean / "musicgate.toml").write_text("[server]\nprot = 1\n")
    code, found, _ = doctor()
    assert (code, list(found)) == (1, ["settings", "plugins", "ffmpeg"])
    assert (
        "server.prot in musicgate.toml: no such setting; did you mean port?" in found["settings"][0].message
    )


def test_plugin_that_cannot_be_loaded_fails(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hollow:
        """Was built for another version."""

        HOOK_API = 99

    load = discovery.load_plugins
    monkeypatch.setattr(hosting, "load_plugins", lambda: load({"hollow": Hollow()}))
    code, found, _ = doctor()
    assert code == 1
    assert found["plugin"][0].message.startswith("hollow is disabled: ")


# --- FFmpeg ---


def test_missing_ffmpeg_fails(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    code, found, _ = doctor()
    assert (code, found["ffmpeg"][0].verdict) == (1, Verdict.FAILED)
    assert "pip install --force-reinstall av" in found["ffmpeg"][0].mend


def test_ffmpeg_without_an_encoder_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    made = attrs.evolve(MADE[AudioKind.MP3], encoder="libnone", muxer="none")
    monkeypatch.setattr(ffmpeg, "MADE", {AudioKind.MP3: made})
    check = checks_here.ffmpeg()
    assert check.verdict is Verdict.FAILED
    assert check.message.endswith("lacks encoder libnone, container none")


# --- store, disk and audio ---


def test_data_folder_that_cannot_be_made_fails(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean / "file").write_text("")
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(clean / "file" / "data"))
    code, found, _ = doctor()
    assert (code, found["store"][0].verdict, found["audio"][0].verdict) == (1, Verdict.FAILED, Verdict.FAILED)
    assert "MUSICGATE_DATA_DIR" in found["store"][0].mend


async def test_store_is_neither_locked_nor_migrated(tmp_path: Path) -> None:
    path = tmp_path / "musicgate.db"
    async with SqliteJobStore.open(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    (tmp_path / "musicgate.db.lock").unlink(missing_ok=True)
    before = path.read_bytes()
    settings = Settings(data_dir=tmp_path)
    check = await checks_here.store(settings)
    assert check.verdict is Verdict.OK
    assert f"schema version 1 of {max(migrations())}; the next start brings it up to date" in check.message
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["musicgate.db"]  # noqa: PTH208 - a moment


async def test_store_is_looked_at_while_a_server_uses_it(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "musicgate.db") as store:
        check = await checks_here.store(Settings(data_dir=tmp_path))
        await store.ping()
    assert check.verdict is Verdict.OK
    assert f"schema version {max(migrations())}, can be read and written" in check.message


@pytest.mark.parametrize(
    ("content", "message"),
    [("later", "which this version of musicgate does not know"), ("damaged", "cannot be read")],
)
async def test_store_that_cannot_be_used_fails(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "musicgate.db"
    if content == "later":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 999")
    else:
        path.write_bytes(b"no database" * 1000)
    check = await checks_here.store(Settings(data_dir=tmp_path))
    assert check.verdict is Verdict.FAILED
    assert message in check.message


async def test_store_on_a_server_that_is_away_fails_without_its_password() -> None:
    settings = Settings(store=StoreSettings(url="postgresql://ann:pass-not-real@127.0.0.1:1/songs"))
    check = await checks_here.store(settings)
    assert check.verdict is Verdict.FAILED
    assert "pass-not-real" not in check.message


@pytest.mark.parametrize(
    ("free_bytes", "verdict"),
    [(50_000_000, Verdict.FAILED), (500_000_000, Verdict.WARNING), (5_000_000_000, Verdict.OK)],
)
async def test_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, verdict: Verdict
) -> None:
    class Usage:
        free = free_bytes

    monkeypatch.setattr(checks_here.shutil, "disk_usage", lambda _: Usage)  # type: ignore[attr-defined]
    (check,) = await checks_here.disk(Settings(data_dir=tmp_path / "data"))
    assert check.verdict is verdict
    assert check.message == f"{free_bytes / 1e9:.1f} GB free for jobs and audio in {tmp_path}"


def test_folder_that_may_not_be_looked_at_is_told(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: Settings) -> list[Check]:
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr(checks_here, "disk", refuse)
    code, found, _ = doctor()
    assert (code, found["disk"][0].message, len(found)) == (1, "/secret: Permission denied", 8)


async def test_audio_that_is_not_kept_is_a_warning() -> None:
    check = await checks_here.audio(Settings(assets=AssetSettings(archive=False)), offline=True)
    assert check.verdict is Verdict.WARNING


# --- keys ---


@pytest.mark.parametrize(
    ("key", "trouble"),
    [
        (KEY, ""),
        (f'"{KEY}"', "the key is in quotes"),
        (f"Bearer:{KEY}", "begins with what is put before keys"),
        (f"https://{KEY}", "begins with what is put before keys"),
        (f"KIE_API_KEY={KEY}", "begins with the name of its variable"),
        ("your-api-key-here", "is a placeholder"),
        ("<paste-it-here>", "is a placeholder"),
        ("xxxxxxxxxxxxxxxx", "is a placeholder"),
        ("$KIE_API_KEY", "is a placeholder"),
        ("abcd1234", "has only 8 characters"),
    ],
)
def test_key_that_cannot_be_one_is_told_without_showing_it(key: str, trouble: str) -> None:
    found = key_trouble(provider(key=key))
    assert trouble in found
    assert bool(found) is bool(trouble)
    assert key not in found


def test_missing_keys_are_a_warning_only_if_there_is_none() -> None:
    none, some = provider(key=None), provider(key=KEY)
    other = provider("fal", key=None)
    assert [check.verdict for check in keys([none, other])] == [Verdict.WARNING]
    assert "FAL_KEY or KIE_API_KEY" in keys([none, other])[0].mend
    assert keys([some, other]) == [ok("key", "suno_kie: is set"), ok("key", "not set, so not used: FAL_KEY")]
    wrong = keys([attrs.evolve(some, key=Secret("none"))])
    assert [check.verdict for check in wrong] == [Verdict.FAILED]


# --- vendors and the clock ---


@asynccontextmanager
async def vendor(
    *, status: int = 404, ahead: timedelta = timedelta()
) -> AsyncIterator[tuple[str, list[web.BaseRequest]]]:
    """A server on loopback with a clock of its own; and the requests that it got."""
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
        return web.Response(status=status, headers={"Date": date})

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_vendor_is_asked_once_without_the_key() -> None:
    async with vendor() as (url, asked):
        checks = await reachable(Settings(), [provider(base_url=url)])
    assert [(check.name, check.verdict) for check in checks] == [
        ("vendor", Verdict.OK),
        ("clock", Verdict.OK),
    ]
    assert [request.method for request in asked] == ["HEAD"]
    assert KEY not in str(asked[0].headers)


async def test_clock_that_is_an_hour_off_fails() -> None:
    async with vendor(ahead=timedelta(hours=-1)) as (url, _):
        checks = await reachable(Settings(), [provider(base_url=url)])
    assert checks[-1].verdict is Verdict.FAILED
    assert "ahead of that of 1 vendor" in checks[-1].message
    assert "timedatectl" in checks[-1].mend


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [([0, 3600, 1], Verdict.OK), ([-3600, -3590, 0], Verdict.FAILED), ([-45], Verdict.WARNING)],
)
def test_one_vendor_with_a_wrong_clock_decides_nothing(seconds: list[int], verdict: Verdict) -> None:
    check = clock([timedelta(seconds=one) for one in seconds])
    assert check.verdict is verdict
    assert ("behind" in check.message) is (verdict is not Verdict.OK)


async def test_vendor_that_is_away_fails_and_one_with_5xx_is_a_warning() -> None:
    async with vendor(status=503) as (url, _):
        checks = await reachable(
            Settings(), [provider(base_url=url), provider("fal", base_url="http://127.0.0.1:1")]
        )
    by_plugin = {check.message.partition(":")[0]: check for check in checks if check.name == "vendor"}
    assert by_plugin["fal"].message == "fal: http://127.0.0.1:1: connection refused"
    assert by_plugin["fal"].verdict is Verdict.FAILED
    assert by_plugin["suno_kie"].verdict is Verdict.WARNING


async def test_vendor_without_a_key_and_an_own_server_that_is_not_set_up_are_not_asked() -> None:
    assert await reachable(Settings(), [provider(key=None), provider("acestep", key=None)]) == []


async def test_address_that_is_none_is_no_answer() -> None:
    found = await reach(["http://[::1", "http://127.0.0.1:1"], Proxies())
    assert [bool(one.trouble) for one in found.values()] == [True, True]


# --- port ---


async def test_port_of_another_program_fails_and_that_of_a_server_does_not() -> None:
    async with vendor() as (url, _):
        number = int(url.rpartition(":")[2])
        other = await checks_here.port(Settings(server=ServerSettings(port=number)))
    assert (other.verdict, "another program uses" in other.message) == (Verdict.FAILED, True)
    free = await checks_here.port(Settings(server=ServerSettings(port=number)))
    assert free.verdict is Verdict.OK

    async def live(_: web.BaseRequest) -> web.Response:
        return web.json_response(render_live())

    runner = web.ServerRunner(web.Server(live), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        number = runner.addresses[0][1]
        own = await checks_here.port(Settings(server=ServerSettings(port=number)))
    finally:
        await runner.cleanup()
    assert own == ok("port", f"a musicgate server listens on 127.0.0.1:{number}")


async def test_address_of_no_network_card_fails() -> None:
    check = await checks_here.port(Settings(server=ServerSettings(host="192.0.2.1", port=4321)))
    assert (check.verdict, "192.0.2.1:4321 cannot be used" in check.message) == (Verdict.FAILED, True)
