"""Writes wait for a slow client at once, and a client that has gone is no error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from musicgate.web.connection import write_through


class Transport:
    """A transport as uvloop's: nothing may be set on a closed one."""

    def __init__(self, *, is_closed: bool) -> None:
        self.is_closed = is_closed
        self.limits: list[int | None] = []

    def is_closing(self) -> bool:
        return self.is_closed

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        if self.is_closed:
            raise RuntimeError("the handler is closed")
        self.limits.append(high)


def request_on(transport: Transport | None) -> Any:
    return SimpleNamespace(transport=transport)


def test_nothing_is_buffered_inside_and_as_much_as_before_behind() -> None:
    transport = Transport(is_closed=False)
    with write_through(request_on(transport)):
        assert transport.limits == [0]
    assert transport.limits == [0, None]


def test_a_client_that_has_gone_is_no_error() -> None:
    for transport in (None, Transport(is_closed=True)):
        with write_through(request_on(transport)):
            pass
    leaving = Transport(is_closed=False)
    with pytest.raises(ConnectionResetError), write_through(request_on(leaving)):  # noqa: PT012
        leaving.is_closed = True
        raise ConnectionResetError
