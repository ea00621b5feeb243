"""Which store a URL opens, which options it takes, and the links that S3 signs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from yarl import URL

from musicgate.assets import objects
from musicgate.assets.objects import open_objects
from musicgate.assets.s3_links import with_answer_headers
from musicgate.settings import Settings, keep_declared
from tests.s3_servers import KEY, SECRET, S3Server

NAME = "ab/abcdef.mp3"
KEYS = {"access_key_id": KEY, "secret_access_key": SECRET}
DOWNLOAD = "attachment; filename=\"a b.mp3\"; filename*=UTF-8''%C3%A4%20b.mp3"


def refusal(url: str, **options: str) -> str:
    with pytest.raises(ValueError, match=r"[a-z]") as refused:
        open_objects(url, environ={}, options=options)
    assert "not-to-be-shown" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["", "songs", "/var/lib", "ftp://x/y", "https://s3.example/x", "file:relative", "file://host/x", "file:///",
     "s3://", "s3:///prefix", "s3://bucket/a/../b", "s3://bucket/.hidden", "s3://key:not-to-be-shown@bucket/x",
     "s3://bucket/x?secret=not-to-be-shown"],
)  # fmt: skip
def test_a_url_that_is_no_store_is_refused_without_showing_it(url: str) -> None:
    assert refusal(url).startswith("the URL of a")


@pytest.mark.parametrize(
    "url, options, message",
    [
        ("s3://b", {"reigon": "x"}, "an object store of s3:// has no option 'reigon'"),
        ("gs://b", {"aws_region": "x"}, "an object store of gs:// has no option 'aws_region'"),
        ("file:///x", {"region": "x"}, "an object store of file: has no option 'region'"),
        ("memory:", {"region": "x"}, "an object store of memory: has no option 'region'"),
        ("s3://b", {"virtual_hosted_style_request": "not-to-be-shown"},
         "the option virtual_hosted_style_request of the object store has a value that cannot be used"),
        ("s3://b", {"timeout": "not-to-be-shown"},
         "the option timeout of the object store has a value that cannot be used"),
        ("s3://b", {"endpoint": "not-to-be-shown"},
         "the option endpoint of an object store is not an http or https URL"),
        ("s3://b", {"endpoint": "http://127.0.0.1:9"},
         "the option endpoint of an object store is http:, which needs allow_http = true"),
        ("gs://b", {"service_account_key": "not-to-be-shown"},
         "the option service_account_key of the object store has a value that cannot be used"),
        ("az://c", {"account_name": "a", "account_key": "not-to-be-shown!"},
         "the option storage_account_key of the object store has a value that cannot be used"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_and_its_value_is_not_shown(
    url: str, options: dict[str, str], message: str
) -> None:
    assert refusal(url, **options) == message


async def link(url: str, options: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str:
    store = open_objects(url, environ=environ or {}, options=options)
    signed = await store.link(NAME, lifetime_s=600, content_type="audio/mpeg", disposition=DOWNLOAD)
    await store.close()
    assert signed is not None
    return signed


async def test_credentials_and_endpoint_come_from_the_given_environment() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "from-environ",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": "https://s3.example",
        "AWS_REGION": "eu-north-1",
        "AWS_SESSION_TOKEN": "",  # blank is not set
    }
    parts = urlsplit(await link("s3://songs/kept", {}, environ))
    assert (parts.netloc, parts.path) == ("s3.example", f"/songs/kept/{NAME}")
    assert parse_qs(parts.query)["X-Amz-Credential"][0].startswith("from-environ/")
    assert "/eu-north-1/s3/" in parse_qs(parts.query)["X-Amz-Credential"][0]
    assert "X-Amz-Security-Token" not in parts.query


async def test_options_beat_the_environment() -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "from-environ",
        "AWS_ENDPOINT_URL": "https://s3.example",
        "AWS_ENDPOINT_URL_S3": "https://s3.example",
    }
    signed = await link("s3://songs", {**KEYS, "endpoint": "https://other.example"}, environ)
    assert urlsplit(signed).netloc == "other.example"
    assert parse_qs(urlsplit(signed).query)["X-Amz-Credential"][0].startswith(f"{KEY}/")


async def test_options_may_have_the_prefix_of_their_cloud() -> None:
    options = {f"AWS_{name}": value for name, value in {**KEYS, "region": "eu-north-1"}.items()}
    assert "eu-north-1" in await link("s3://songs", options)


def test_a_folder_needs_no_library_of_clouds() -> None:
    script = (
        "import sys; from musicgate.assets.objects import open_objects\n"
        "open_objects('file:///nonexistent/x', environ={}); assert 'obstore' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603 - our own words


def test_a_blank_in_the_path_of_a_folder_may_be_escaped(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "x").write_bytes(b"x")
    assert open_objects((tmp_path / "a b").as_uri(), environ={}).local_path("x") == tmp_path / "a b" / "x"


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    server: S3Server = request.getfixturevalue(request.param)
    return server


async def test_a_link_answers_with_the_type_and_disposition_that_were_signed(
    server: S3Server, tmp_path: Path
) -> None:
    (tmp_path / "song").write_bytes(b"song")
    await server.open("links").put(NAME, tmp_path / "song", "audio/wav")
    signed = await link("s3://songs/links", server.options())
    async with aiohttp.ClientSession() as client, client.get(URL(signed, encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, b"song")
        assert answer.headers["Content-Type"] == "audio/mpeg"
        assert answer.headers["Content-Disposition"] == DOWNLOAD


async def test_a_link_that_was_changed_is_refused(rclone: S3Server, tmp_path: Path) -> None:
    (tmp_path / "song").write_bytes(b"song")
    await rclone.open("links").put(NAME, tmp_path / "song", "audio/wav")
    signed = await link("s3://songs/links", rclone.options())
    changed = [
        signed.replace("audio%2Fmpeg", "text%2Fhtml"),
        signed.replace("Expires=600", "Expires=601"),
        signed[:-1] + ("0" if signed[-1] != "0" else "1"),
    ]
    async with aiohttp.ClientSession() as client:
        for url in changed:
            async with client.get(URL(url, encoded=True)) as answer:
                assert answer.status == 403


def test_the_signature_is_that_of_botocore() -> None:
    scope = "AK%2F20261129%2Feu-north-1%2Fs3%2Faws4_request"
    link = (
        "https://s3.example:8443/songs/pre/ab/x_-.1.mp3?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={scope}&X-Amz-Date=20261129T071441Z&X-Amz-Expires=600"
        "&X-Amz-Security-Token=TOKEN%2F%2B%3Dx&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
    )
    disposition = "attachment; filename=\"a b~(1)+&=.mp3\"; filename*=UTF-8''%C3%A4%20b.mp3"
    signed = with_answer_headers(link, "SK/+x", content_type="audio/mpeg", content_disposition=disposition)
    # Made by botocore 1.44.8 for the same key, time and parameters.
    assert signed.endswith(
        "&X-Amz-Signature=42ab3d0c34de90ff24a24741eb1cb94e65189d584be6f91a24eede7ca6f4b95f"
    )
    assert parse_qs(urlsplit(signed).query)["response-content-disposition"] == [disposition]


def test_every_variable_of_a_cloud_is_kept_when_plugins_have_declared_theirs() -> None:
    settings = Settings(environ=dict.fromkeys((*chain(*objects._VARIABLES.values()), "OTHER_SECRET"), "x"))
    kept = keep_declared(settings, ()).environ
    assert sorted(kept) == sorted({*chain(*objects._VARIABLES.values())})
