"""The limits of composition plans, at and beyond each limit."""

from typing import Any

import pytest

from musicgate_elevenlabs import plans


def section(**changes: Any) -> dict[str, Any]:
    return {
        "section_name": "Verse",
        "positive_local_styles": [],
        "negative_local_styles": [],
        "duration_ms": 20_000,
        "lines": [],
        **changes,
    }


def v1(*sections: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "positive_global_styles": [],
        "negative_global_styles": [],
        "sections": list(sections) or [section()],
        **changes,
    }


def chunk(**changes: Any) -> dict[str, Any]:
    return {"text": "la", "duration_ms": 20_000, "positive_styles": [], **changes}


def v2(*chunks: dict[str, Any]) -> dict[str, Any]:
    return {"chunks": list(chunks)}


def part(start_ms: int, end_ms: int, **changes: Any) -> dict[str, Any]:
    return {"song_id": "s", "range": {"start_ms": start_ms, "end_ms": end_ms}, **changes}


def paths(plan: dict[str, Any]) -> list[str]:
    return [".".join(map(str, found.inside)) for found in plans.Plan("plan").faults(plan)]


@pytest.mark.parametrize(
    "plan",
    [
        v1(),
        v1(*[section()] * 30),
        v1(positive_global_styles=["x"] * 50),
        v1(section(section_name="n" * 100)),
        v1(section(duration_ms=3_000), section(duration_ms=120_000)),
        v1(section(lines=["é" * 200] * 30)),
        v1(section(source_from=part(0, 10, negative_ranges=[{}] * 10))),
        v1(section(source_from=None), extra=None),
        v2(chunk()),
        v2(*[chunk()] * 30),
        v2(chunk(text="")),
        v2(chunk(text="[" + "n" * 100 + "]\n" + "\n".join(["x" * 200] * 30))),
        v2(chunk(positive_styles=["x"] * 50, negative_styles=["x"] * 50)),
        v2(
            chunk(
                negative_styles=None, context_adherence=None, conditioning_ref=None, condition_strength=None
            )
        ),
        v2(chunk(context_adherence="low", condition_strength="xhigh", conditioning_ref=part(0, 30_000))),
        v2(chunk(), part(0, 50)),
        v2(chunk(), part(100, 150, text=None)),
        v2(chunk(duration_ms=3_000)),
        v2(*[chunk(duration_ms=120_000)] * 5),
    ],
)
def test_plan_within_the_limits_has_no_problem(plan: dict[str, Any]) -> None:
    assert paths(plan) == []


@pytest.mark.parametrize(
    ("plan", "path"),
    [
        ({}, ""),
        ({"sections": None, "chunks": None}, ""),
        (v1(sections=[]), "sections"),
        (v1(sections={}), "sections"),
        (v1(sections=["x"]), "sections.0"),
        (v1(*[section()] * 31), "sections"),
        (v1(positive_global_styles=["x"] * 51), "positive_global_styles"),
        (v1(negative_global_styles=None), "negative_global_styles"),
        (v1(positive_global_styles=[1]), "positive_global_styles.0"),
        (v1(section(section_name="")), "sections.0.section_name"),
        (v1(section(section_name="n" * 101)), "sections.0.section_name"),
        (v1(section(positive_local_styles=["x"] * 51)), "sections.0.positive_local_styles"),
        (v1(section(negative_local_styles="x")), "sections.0.negative_local_styles"),
        (v1(section(), section(duration_ms=2_999)), "sections.1.duration_ms"),
        (v1(section(duration_ms=120_001)), "sections.0.duration_ms"),
        (v1(section(duration_ms=20_000.5)), "sections.0.duration_ms"),
        (v1(section(duration_ms=True)), "sections.0.duration_ms"),
        (v1(section(lines=["x"] * 31)), "sections.0.lines"),
        (v1(section(lines=["x", "y" * 201])), "sections.0.lines.1"),
        (v1(section(source_from={"song_id": "s"})), "sections.0.source_from.range"),
        (
            v1(section(source_from=part(0, 10, negative_ranges=[{}] * 11))),
            "sections.0.source_from.negative_ranges",
        ),
        (v2(*[chunk(duration_ms=3_000)] * 31), "chunks"),
        (v2(chunk(text=None)), "chunks.0.text"),
        (v2(chunk(text="x " * 3_067)), "chunks.0.text"),
        (v2(chunk(text="\n".join(["x"] * 31))), "chunks.0.text"),
        (v2(chunk(text="[" + "n" * 101 + "]\nla")), "chunks.0.text"),
        (v2(chunk(text="[]\nla")), "chunks.0.text"),
        (v2(chunk(positive_styles=None)), "chunks.0.positive_styles"),
        (v2(chunk(negative_styles=["x"] * 51)), "chunks.0.negative_styles"),
        (v2(chunk(context_adherence="xhigh")), "chunks.0.context_adherence"),
        (v2(chunk(condition_strength="max")), "chunks.0.condition_strength"),
        (v2(chunk(conditioning_ref=part(0, 30_001))), "chunks.0.conditioning_ref.range"),
        (v2(chunk(), part(0, 49)), "chunks.1.range"),
        (v2(chunk(), part(0, 60, song_id="s" * 101)), "chunks.1.song_id"),
        (v2(part(0, 2_999)), "chunks"),
        (v2(*[chunk(duration_ms=120_000)] * 5, part(0, 50)), "chunks"),
    ],
)
def test_broken_limit_is_reported_with_its_path(plan: dict[str, Any], path: str) -> None:
    assert paths(plan)[0] == path


@pytest.mark.parametrize(
    ("plan", "length_ms"),
    [
        (v1(section(), section(duration_ms=3_000)), 23_000),
        (v2(chunk(), part(1_000, 2_500)), 21_500),
        (v2(chunk(), chunk(duration_ms=None)), None),
        (v2(chunk(duration_ms=10**400)), None),
        ({}, None),
        (None, None),
        ({"chunks": "x"}, None),
    ],
)
def test_length_of_a_plan(plan: object, length_ms: int | None) -> None:
    assert plans.length_ms(plan) == length_ms
