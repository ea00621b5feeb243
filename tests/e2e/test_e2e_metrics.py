"""``/metrics`` of a real server: both formats, figures that add up, who may read; the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from musicgate.model import Secret
from musicgate.web.families import FAMILIES
from tests.e2e.running_server import JOBS, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

TOKEN = "test-token-not-real"
WITH_TOKEN = {"metrics_token": Secret(TOKEN)}
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


async def scrape(server: RunningServer, accept: str = "*/*", key: str | None = TOKEN) -> Reply:
    return await server.call("GET", "/metrics", headers={"Accept": accept}, key=key)


def _families(openmetrics: str) -> list[Metric]:
    return list(parse_openmetrics(openmetrics))  # type: ignore[no-untyped-call]


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and by the values of the labels, in the order of the labels' names."""
    return {
        (
            sample.name.removeprefix("musicgate_"),
            tuple(sample.labels[name] for name in sorted(sample.labels)),
        ): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


async def test_a_song_and_a_refusal_are_counted_once(
    open_server: OpenServer, caplog: pytest.LogCaptureFixture
) -> None:
    # By their names: `serve` switches them off for its process, and so do its tests.
    for name in ("musicgate.web.request_log", "musicgate.gateway.counting"):
        caplog.set_level(logging.INFO, logger=name)
    async with open_server(server=WITH_TOKEN) as server:
        job = await server.generate(song(prompt="a secret idea"))
        await server.create(song(switches="create=402"))
        await server.call("GET", f"/nowhere/{job['id']}?key=hidden")
        text, openmetrics = await scrape(server), await scrape(server, OPENMETRICS)
    assert text.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {f"musicgate_{family.name.removesuffix('_total')}" for family in FAMILIES} <= {
        family.name for family in _families(openmetrics.raw.decode())
    }
    found = samples(text.raw.decode())
    assert found["creates_total", ("accepted", "")] == 1
    assert found["creates_total", ("failed", "credits")] == 1
    assert found["job_states_total", ("suno_kie", "completed")] == 1
    assert found["job_states_total", ("suno_kie", "failed")] == 1
    assert found["job_failures_total", ("suno_kie", "credits")] == 1
    assert found["spent_usd_total", ("suno/v5", "suno_kie")] == pytest.approx(0.06)
    assert found["vendor_call_duration_seconds_count", ("2xx", "suno_kie", "create")] >= 1
    assert found["vendor_call_duration_seconds_count", ("2xx", "suno_kie", "poll")] >= 1
    assert found["step_lateness_seconds_count", ("suno_kie",)] >= 1
    assert found["download_duration_seconds_count", ("fetched", "suno_kie")] == 2
    assert found["kept_bytes_total", ("mp3",)] > 10_000
    assert found["store_commit_writes_sum", ()] >= found["store_commit_writes_count", ()] > 3
    assert found["http_request_duration_seconds_count", ("POST", JOBS, "2xx")] == 1
    assert found["http_request_duration_seconds_count", ("POST", JOBS, "4xx")] == 1
    assert found["http_request_duration_seconds_count", ("GET", "other", "4xx")] == 1
    assert sum(value for (name, _), value in found.items() if name == "open_jobs") == 0
    assert found["webhook_messages_pending", ()] == 0
    assert ("replica_shares", ()) not in found
    check_nothing_of_callers(text.raw.decode(), job["id"])
    check_log(caplog, job["id"])


def check_nothing_of_callers(text: str, job_id: str) -> None:
    for unbounded in (job_id, "secret idea", "hidden", 'account="', "nowhere"):
        assert unbounded not in text


def check_log(caplog: pytest.LogCaptureFixture, job_id: str) -> None:
    """A line for each request and each state, with both ids, and nothing that the caller wrote."""
    lines = [record.getMessage() for record in caplog.records]
    created = next(line for line in lines if line.startswith("request answered") and f"job={job_id}" in line)
    assert f"method=POST route={JOBS} status=200" in created
    assert "account=test" in created
    request_id = created.split("request=")[1].split()[0]
    states = [
        line for line in lines if line.startswith(f"job state changed: job={job_id} request={request_id}")
    ]
    assert [line.split(" state=")[1].split()[0] for line in states] == ["queued", "in_progress", "completed"]
    refused = next(line for line in lines if "status=404" in line)
    assert "route=other" in refused
    for secret in ("secret idea", "hidden", "not-real", "nowhere"):
        assert not any(secret in line for line in lines)


@pytest.mark.parametrize(
    ("server_settings", "key", "expected"),
    [
        (WITH_TOKEN, TOKEN, (200, None)),
        (WITH_TOKEN, None, (401, "missing_or_invalid_authorization_header")),
        (WITH_TOKEN, "test-key-not-real", (401, "key_not_found_or_revoked")),
        ({}, TOKEN, (401, "missing_or_invalid_authorization_header")),
        ({"metrics": "open"}, None, (200, None)),
        ({"metrics": "off"}, None, (404, None)),
    ],
    ids=["token", "no token", "key of an account", "no token is set", "open", "off"],
)
async def test_the_setting_says_who_reads(
    open_server: OpenServer,
    server_settings: dict[str, object],
    key: str | None,
    expected: tuple[int, str | None],
) -> None:
    async with open_server(server=server_settings) as server:
        reply = await scrape(server, key=key)
    assert (reply.status, None if reply.status == 200 else reply.body.get("reason")) == expected


async def test_without_accounts_this_machine_reads_and_no_web_page(open_server: OpenServer) -> None:
    async with open_server(accounts=()) as server:
        assert (await scrape(server, "application/openmetrics-text;version=x", key=None)).status == 200
        foreign = await server.call("GET", "/metrics", headers={"Origin": "https://a.test"}, key=None)
    assert foreign.status == 401
