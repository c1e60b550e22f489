"""Names that are safe on every system, whatever text they are made of."""

from __future__ import annotations

import pytest

from myna.server.filenames import MOST_BYTES, Names, attachment, file_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A garden", "A garden"),
        ("Ein Garten für Jürgen", "Ein Garten für Jürgen"),
        ("花园 (2)", "花园 (2)"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\temp\\x", "C_temp_x"),
        ("a<b>|c?*\"d'", "a_b_c_d'"),
        ("line\nbreak\ttab\x00nul", "line break tabnul"),
        ("invoice\u202etxt.exe", "invoicetxt.exe"),
        ("\u2066hidden\u2069\u200b\ufeff", "hidden"),
        ("trailing. . ", "trailing"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("con .txt", "_con .txt"),
        ("lpt¹", "_lpt¹"),
        ("Console", "Console"),
        ("\udcff", "Untitled"),
        ("...", "Untitled"),
        ("", "Untitled"),
    ],
)
def test_what_becomes_of_a_text(text: str, name: str) -> None:
    assert file_name(text, "Untitled") == name


def test_a_long_name_is_cut_between_letters() -> None:
    assert file_name("花" * 200, "Untitled") == "花" * (MOST_BYTES // 3)


def test_names_of_one_folder_differ_on_every_disk() -> None:
    names = Names()
    given = [names.new(name) for name in ("a", "A", "a (2)", "a", "b", "ﬁn", "FIN")]
    assert given == ["a", "A (2)", "a (2) (2)", "a (3)", "b", "ﬁn", "FIN (2)"]


def test_names_that_are_all_the_same_are_counted_on() -> None:
    names = Names()
    given = {names.new("Untitled") for _ in range(50_000)}  # counting from 1 each time: 10**9 looks
    assert given == {"Untitled", *(f"Untitled ({number})" for number in range(2, 50_001))}


def test_a_browser_is_told_any_name() -> None:
    assert attachment('花"; x.md') == {"content-disposition": "attachment; filename*=UTF-8''%E8%8A%B1%22%3B%20x.md"}
