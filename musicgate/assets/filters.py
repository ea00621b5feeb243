"""Run decoded audio through a chain of FFmpeg's filters."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import AudioFrame


class FilterChain:
    """Filters for frames that all have the format, layout and rate of the first one.

    Args:
        first: the first frame, which is not yet pushed.
        filters: the name of each filter, and its arguments as FFmpeg writes them.
    """

    def __init__(self, first: AudioFrame, *filters: tuple[str, str]) -> None:
        from av.filter import Graph

        self._time_base = Fraction(1, first.sample_rate)
        self._samples = 0
        self._graph = Graph()
        self._graph.threads = 1
        source = self._graph.add_abuffer(
            sample_rate=first.sample_rate, format=first.format, layout=first.layout, time_base=self._time_base
        )
        nodes = [self._graph.add(name, arguments) for name, arguments in filters]
        self._graph.link_nodes(source, *nodes, self._graph.add("abuffersink")).configure()

    def push(self, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        """Filter a frame, or None at the end, and yield what is ready."""
        from av import AudioFrame

        if frame is not None:  # a decoder's times may have gaps: samples are what is heard
            frame.pts, frame.time_base = self._samples, self._time_base
            self._samples += frame.samples
        self._graph.push(frame)
        while True:
            try:
                filtered = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            if isinstance(filtered, AudioFrame):
                yield filtered
