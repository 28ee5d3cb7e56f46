"""@ in prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.board import mentions
from app.board.mentions import Names, compile_prompt, find
from mlx_model.errors import RequestError

NAMES = ["room", "Red-Hat", "red", "Café", "IMG_001"]


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("the chair of @2 in @1", "the chair of image 2 in image 1"),
        ("@1's floor, (@2), @3.", "image 1's floor, (image 2), image 3."),
        ("@room and @ROOM", "image 1 and image 1"),
        ("@red-hat then @red, @red-dish", "image 2 then image 3, image 3-dish"),
        ("@café and @cafe\u0301", "image 4 and image 4"),
        ("@IMG_001 here", "image 5 here"),
        ("the man of image @2, Image @1", "the man of image 2, image 1"),
        ("write to ann@room.org", "write to ann@room.org"),
        (r"the sign \@1 and \@nobody", "the sign @1 and @nobody"),
        ("a lone @ and @, and @@1", "a lone @ and @, and @@1"),
        ("", ""),
    ],
)
def test_compiled(prompt, wanted):
    assert compile_prompt(prompt, NAMES) == wanted


def test_ten_is_the_last():
    assert compile_prompt("@10", [f"p{i}" for i in range(10)]) == "image 10"
    with pytest.raises(RequestError, match="@11"):
        compile_prompt("@11", [f"p{i}" for i in range(12)])


@pytest.mark.parametrize("prompt", ["@11", "@6", "@0", "@nobody", "@roomy", "@1st", "@red_x", "@IMG_0011"])
def test_refused(prompt):
    with pytest.raises(RequestError) as caught:
        compile_prompt(f"put {prompt} there", NAMES)
    assert prompt[1:].split()[0] in caught.value.message
    assert r"\@" in caught.value.hint


def test_without_pictures():
    with pytest.raises(RequestError, match="no pictures"):
        compile_prompt("@1", [])


def test_a_number_is_a_place_and_shared_names_are_ambiguous():
    assert compile_prompt("@2", ["2", "1"]) == "image 2"
    with pytest.raises(RequestError, match="@1 or @2"):
        compile_prompt("@cat", ["cat", "Cat"])


@given(st.text().filter(lambda text: "@" not in text))
def test_text_without_mentions_stays(text):
    import unicodedata

    assert compile_prompt(text, NAMES) == unicodedata.normalize("NFC", text)


@given(st.text(), st.lists(st.text(), max_size=10))
def test_never_another_error(text, names):
    try:
        assert isinstance(compile_prompt(text, names), str)
    except RequestError as error:
        assert error.message  # noqa: PT017


def test_found_mentions_say_where_they_stand_and_what_is_wrong():
    text = r"image @2 and @Café, \@1, @nobody-here."
    found = list(find(text, NAMES))
    assert [text[m.at : m.end] for m in found] == ["@2", "@Café", "@", "@nobody-here"]
    assert [m.place for m in found] == [2, 4, None, None]
    assert text[found[0].start : found[0].end] == "image @2"
    assert "@nobody-here names no picture" in found[3].error.message


@given(st.text(alphabet="@\\ab1- image", max_size=40))
def test_what_is_coloured_is_what_is_compiled(text):
    found = list(find(text, NAMES))
    if any(mention.error for mention in found):
        with pytest.raises(RequestError):
            compile_prompt(text, NAMES)
    else:
        assert compile_prompt(text, NAMES).count("image ") >= sum(mention.place is not None for mention in found)


def test_a_model_may_call_pictures_otherwise():
    assert compile_prompt("image @2 and @Anna", ["Anna", "b"], "<ref_image_{}>") == "<ref_image_2> and <ref_image_1>"


def test_a_mention_of_nothing_says_what_there_is_also_without_a_name_and_in_the_cast():
    with pytest.raises(RequestError) as told:
        compile_prompt("add @rob", Names(["", "hat"], offered=["robot"]))
    assert told.value.hint.startswith("There are @1, @hat, @robot. ")
    with pytest.raises(RequestError) as told:
        compile_prompt("add @rob", [])
    assert told.value.hint.startswith("There is no picture to mention. ")


def test_words_without_a_mention_are_not_gone_through_letter_by_letter(monkeypatch):
    monkeypatch.setattr(mentions, "_lower", lambda text: pytest.fail("they were"))
    assert list(find("ein 🦊 im Wald", [])) == []


PIECES = ("@", "image", "IMAGE", " ", "\t", "\n", "a", "\\", ".", "1", "fox", "@fox", "image @1", "@@", "é", "x.@a")


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_looking_only_where_a_sign_stands_finds_the_same(text):
    assert [one.span() for one in mentions.list_signs(text)] == [one.span() for one in mentions.MENTION.finditer(text)]
