# ruff: noqa: RUF001 (letters that look like others are what this is about)
from __future__ import annotations

import pytest

from myna.errors import InvalidParameter
from myna.server.accounts.names import clean_name, looks


@pytest.mark.parametrize(
    "name",
    [
        "Ann",
        "Zoë O'Hara-Lee",
        "Ann_7",
        "ann@example.com",
        "李小龍",
        "東京たろう",
        "김철수",
        "Владимир",
        "Ελένη",
        "राम",
        "אבי",
        "محمد",
    ],
)
def test_names_of_the_world_will_do(name: str) -> None:
    assert clean_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "...", "x" * 65, "<b>Ann</b>", "Ann\u200b", "A\u202enn", "Ann\u00ad", "A\u034fnn", "Ann\u3164",
        "\u3164\u3164", "Ann\ufe0f", "A\x00nn", "Ann\n<script>", "a" + "\u0301" * 6, "Аnn", "Annа", "Ελ1na", "🙂",
    ],
)  # fmt: skip
def test_what_attacks_the_page_or_is_not_seen_is_no_name(name: str) -> None:
    with pytest.raises(InvalidParameter, match=r"name"):
        clean_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Oscar", "Оѕсаг"),
        ("ann", "Änn"),
        ("Ann Lee", "ann-lee"),
        ("Paul1", "Paull"),
        ("Bob", "B0b"),
        ("KATE", "КАТЕ"),
        ("POPE", "ΡΟΡΕ"),
    ],
)
def test_names_that_are_drawn_alike_look_alike(one: str, other: str) -> None:
    assert looks(one) == looks(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Ann", "Anna"), ("Ian", "Lan"), ("राम", "रमा"), ("か", "が"), ("Ben", "Den")]
)
def test_others_do_not(one: str, other: str) -> None:
    assert looks(one) != looks(other)
