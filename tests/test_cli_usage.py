"""``musicgate usage`` and ``musicgate audit export``, beside a server that uses the store."""

import asyncio
import json
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from musicgate.cli import cli
from musicgate.model import AuditEntry
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import NOW, ended, make_job


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of two days, with two keys and three audit entries."""
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path))

    async def fill() -> None:
        async with SqliteJobStore.open(tmp_path / "musicgate.db") as store:
            for number, (key_id, at_s) in enumerate((("k1", 0), ("k2", 0), ("k1", 86_400))):
                job = attrs.evolve(make_job(f"m{number}"), key_id=key_id)
                await store.add(
                    job, [], audit=AuditEntry(NOW, "job.created", "default", key_id, job.id, "G-1")
                )
                await store.replace(job, ended(job, at_s=at_s, price_usd_nanos=120_000_001), [])

    asyncio.run(fill())
    return tmp_path


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_usage_is_shown_as_table_json_and_csv(filled: Path) -> None:
    days = ("--from", "2026-11-20", "--to", "2026-11-21")
    assert printed("usage", *days).splitlines() == [
        "DAY         JOBS  COMPLETED  FAILED  COST USD     UNPRICED JOBS  AUDIO SECONDS",
        "2026-11-20  2     2          0       0.240000002  0              0.0",
        "2026-11-21  1     1          0       0.120000001  0              0.0",
    ]
    report = json.loads(printed("usage", *days, "--by", "key,model", "--json"))
    assert [(row["key_id"], row["model"], row["jobs"]) for row in report["data"]] == [
        ("k1", "suno/v4", 2),
        ("k2", "suno/v4", 1),
    ]
    assert report["total"]["cost_usd"] == "0.360000003"
    assert printed("usage", *days, "--key", "k2", "--by", "account", "--csv").splitlines() == [
        "account,jobs,completed,failed,cost_usd,cost_nanos,unpriced_jobs,audio_seconds",
        "default,1,1,0,0.120000001,120000001,0,0.0",
    ]


@pytest.mark.parametrize(
    "arguments",
    [("--by", "mood"), ("--from", "2026-11-21", "--to", "2026-11-20"), ("--json", "--csv"), ("--to", "soon")],
)
def test_wrong_options_of_usage_are_refused(filled: Path, arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli, ["usage", *arguments]).exit_code == 2


def test_audit_log_is_exported_from_a_number_on(filled: Path) -> None:
    entries = [json.loads(line) for line in printed("audit", "export").splitlines()]
    assert [(entry["number"], entry["action"], entry["music_id"]) for entry in entries] == [
        (1, "job.created", "m0"),
        (2, "job.created", "m1"),
        (3, "job.created", "m2"),
    ]
    header, *rows = printed("audit", "export", "--after", "2", "--csv").splitlines()
    assert header == "number,at,action,account,key_id,music_id,request_id,subject"
    assert rows == ["3,2026-11-20T12:30:00.000Z,job.created,default,k1,m2,G-1,"]


def test_store_that_is_not_there_has_no_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path))
    assert printed("audit", "export") == ""
    assert json.loads(printed("usage", "--json"))["data"] == []
