"""The emulator machine: multipart forms, and the words of a vendor's own in its scripts."""

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
    route,
    switches,
)
from musicgate.emulation.answers import read_form
from musicgate.plugin import HttpRequest

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
