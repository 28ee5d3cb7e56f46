"""File names for every file system, natural order, and text that XML and JSON can hold."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.interchange.files import LONGEST_NAME, make_safe_name, make_sort_key
from app.interchange.values import clean, clean_line, decode
from mlx_model.errors import RequestError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The Gull", "The Gull"),
        ("a/b\\c:d*e?f", "a-b-c-d-e-f"),
        ("../../etc/passwd", "etc-passwd"),
        ("...", "untitled"),
        ("", "untitled"),
        ("CON", "CON-"),
        ("lpt1.txt", "lpt1.txt-"),
        ("ends with dot. ", "ends with dot"),
        ("line\nbreak\x00", "line break"),
        ("\u202egnp.exe", "gnp.exe"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("海鸥 👩‍🚀", "海鸥 👩‍🚀"),
    ],
)
def test_safe_names(text, name):
    assert make_safe_name(text) == name


@given(st.text(max_size=300))
def test_any_text_makes_a_name(text):
    name = make_safe_name(text)
    assert name
    assert name == name.strip(" ")
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert len(name.encode()) <= LONGEST_NAME + 1
    assert not set('<>:"/\\|?*\x00\n') & set(name)


def test_natural_order():
    names = ["shot10.png", "Shot2.png", "shot1.png", "shot02b.png", "10.png", "9.png", "é.png"]
    assert sorted(names, key=make_sort_key) == [
        "9.png",
        "10.png",
        "shot1.png",
        "Shot2.png",
        "shot02b.png",
        "shot10.png",
        "é.png",
    ]


@given(st.lists(st.text(max_size=20)))
def test_any_names_can_be_sorted(names):
    turned = names[::-1]
    assert sorted(turned, key=make_sort_key) == sorted(names, key=make_sort_key)


@given(st.text(st.characters(), max_size=200))
def test_clean_text_goes_into_xml_and_json(text):
    tidy = clean(text)
    element = ElementTree.Element("a")
    element.text = tidy
    assert (ElementTree.fromstring(ElementTree.tostring(element, "utf-8")).text or "") == tidy
    assert json.loads(json.dumps(tidy).encode()) == tidy
    assert "\n" not in clean_line(text)


def test_clean_keeps_words_and_cuts_what_is_too_long():
    assert clean("a\r\nb\rc\u2028d\te") == "a\nb\nc\nd\te"
    assert clean("\ud800x\x00\x07") == "\ufffdx"
    assert clean(None) == ""
    assert len(clean("x" * 50_000)) == 20_000


def test_decoding():
    notes: list[str] = []
    assert decode("é".encode("utf-8-sig"), "a", notes) == "é"
    assert decode("é".encode("utf-16"), "a", notes) == "é"
    assert not notes
    assert decode("Möwe".encode("latin-1"), "a.fountain", notes) == "Möwe"
    assert "a.fountain" in notes[0]
    with pytest.raises(RequestError, match="not a text"):
        decode(b"\x00\x01\x02", "a", notes)
