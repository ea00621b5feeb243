"""The emulator machine: multipart forms, and the words of a vendor's own in its scripts."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate.emulation import (
    Call,
    EmulatedAnswer,
    EmulatedVendor,
    EmulatorOptions,
    FormPart,
    Kind,
    Task,
    answer_json,
    camel_case,
    route,
    switches,
    validation_errors,
)
from musicgate.emulation.answers import read_form
from musicgate.plugin import Array, Choice, Flag, HttpRequest, Number, Text, violations
from tests.compliance.tiny_plugin import PROVIDER

TYPE = 'multipart/form-data; boundary="edge"'


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of parts, each with the rest of its Content-Disposition and its content."""
    written = [
        f"--edge\r\nContent-Disposition: form-data; {head}\r\nContent-Type: a/b\r\n\r\n".encode()
        + content
        + b"\r\n"
        for head, content in parts
    ]
    return b"".join([*written, b"--edge--\r\n"])


def test_form_has_its_fields_and_files_in_order() -> None:
    parts = read_form(
        TYPE, form(('name="tags"', b"a"), ('filename="x.mp3"; name="file"', b"\0"), ('name="tags"', b"b"))
    )
    assert parts == (
        FormPart(name="tags", content=b"a"),
        FormPart(name="file", filename="x.mp3", content=b"\0"),
        FormPart(name="tags", content=b"b"),
    )


@given(st.lists(st.binary() | st.sampled_from([b"\r\n", b"--edge", b"\n--edge\r\n", b"\r\n\r\n--"])))
def test_content_of_a_file_is_kept_byte_by_byte(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    if b"\r\n--edge" not in b"\r\n" + content:
        assert [part.content for part in read_form(TYPE, form(('name="file"', content)))] == [content]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b"{}"), ("multipart/form-data", b"--edge--"), (TYPE, b""), (TYPE, b"--edge")],
)
def test_other_bodies_are_no_form(content_type: str, body: bytes) -> None:
    assert read_form(content_type, body) == ()


class Acme(EmulatedVendor[Task]):
    name = "acme"
    switches = (switches.CREATE.plus(sleepy="HTTP 418", odd="a word for the method"),)

    def play(self, call: Call, fault: str, whole: EmulatedAnswer | None) -> EmulatedAnswer | None:
        if fault == "sleepy":
            return answer_json(418, {"made": whole is not None})
        return super().play(call, fault, whole)

    @route(
        "POST /uploads",
        checks=("form", "limits"),
        fields=(Text("file", required_if=({},)), Array("tags", max_items=2), Flag("quiet"), Number("page")),
    )
    def upload(self, call: Call) -> EmulatedAnswer:
        return answer_json(200, call.body)

    @route("POST /songs", Kind.CREATE, checks=("fault",))
    def create(self, call: Call) -> EmulatedAnswer:
        self.accept(call)
        return answer_json(200, {"word": call.fault})


@pytest.mark.parametrize(
    ("fault", "status", "body", "made"),
    [
        ("sleepy", 418, b'{"made": false}', 0),
        ("made-sleepy", 418, b'{"made": true}', 1),
        ("odd", 200, b'{"word": "odd"}', 1),
    ],
)
def test_word_of_the_vendors_own_in_a_form_is_played(fault: str, status: int, body: bytes, made: int) -> None:
    vendor = Acme(EmulatorOptions())
    headers: Mapping[str, str] = {"Content-Type": TYPE}
    content = form(('name="text"', f"[emulate create={fault}]".encode()), ('name="f"; filename="f"', b"\xff"))
    answer = vendor.answer(
        HttpRequest(method="POST", url="http://127.0.0.1:1/songs", headers=headers, body=content), 0.0
    )
    assert (answer.response.status, answer.response.body) == (status, body)
    assert len(vendor.books.creates) == made


@pytest.mark.parametrize(
    ("parts", "status", "told"),
    [
        (
            [('name="file"; filename="a.mp3"', b"x"), ('name="tags"', b"a"), ('name="tags"', b"b")],
            200,
            {"file": "a.mp3", "tags": ["a", "b"]},
        ),
        (
            [('name="file"', b"true"), ('name="quiet"', b"true"), ('name="page"', b"2"), ('name="x"', b"1")],
            200,
            {"file": "true", "quiet": True, "page": 2, "x": "1"},
        ),
        ([('name="quiet"', b"true")], 400, "file is needed"),
        ([('name="file"', b"x"), ('name="quiet"', b"maybe")], 400, "quiet must be true or false"),
        ([('name="file"', b"x"), ('name="page"', b"[")], 400, "page must be a number"),
        (
            [('name="file"', b"x"), *[('name="tags"', b"a")] * 3],
            400,
            "tags has 3 entries; at most 2 are allowed",
        ),
    ],
)
def test_form_is_read_and_checked_by_the_fields_of_its_route(
    parts: list[tuple[str, bytes]], status: int, told: object
) -> None:
    headers: Mapping[str, str] = {"Content-Type": TYPE}
    url = "http://127.0.0.1:1/uploads"
    answer = Acme(EmulatorOptions()).answer(
        HttpRequest(method="POST", url=url, headers=headers, body=form(*parts)), 0.0
    )
    body = json.loads(answer.response.body)
    assert (answer.response.status, body if status == 200 else body["error"]["message"]) == (status, told)


class Sold(Acme):
    provider = PROVIDER


def test_fields_of_a_route_need_no_offer() -> None:
    headers: Mapping[str, str] = {"Content-Type": TYPE}
    body, url = form(('name="file"', b"x")), "http://127.0.0.1:1/uploads"
    call = HttpRequest(method="POST", url=url, headers=headers, body=body)
    assert Sold(EmulatorOptions()).answer(call, 0.0).response.status == 200


def test_broken_fields_are_reported_as_by_fastapi() -> None:
    fields = (
        Text("name", required_if=({},)),
        Array("tags", each=Text("", max_chars=1), max_items=2),
        Choice("kind", choices=("a",)),
    )
    assert validation_errors(violations(fields, {"tags": ["ab"], "kind": "b"}), "query") == [
        {"loc": ["query", "name"], "msg": "is needed", "type": "missing"},
        {
            "loc": ["query", "tags", 0],
            "msg": "has 2 characters; at most 1 are allowed",
            "type": "value_error",
        },
        {"loc": ["query", "kind"], "msg": "must be one of a", "type": "enum"},
    ]


def test_keys_are_spelled_in_camel_case_at_any_depth() -> None:
    plain = {"song_metadata": [{"is_it_explicit": "a_b", "x": None}], "title": 1}
    assert camel_case(plain) == {"songMetadata": [{"isItExplicit": "a_b", "x": None}], "title": 1}
