"""What a language model's answer may do to an artist's words: mentions survive or it is thrown away."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_model.errors import RequestError
from mlx_model.specs import SPECS
from mlx_model.writing import (
    EDIT,
    KEEP,
    MOST_WORDS,
    NEW,
    SHORT,
    STRUCTURED,
    accept,
    compose_messages,
    is_short,
    list_mentions,
)

NAMES = st.lists(st.sampled_from(["@fox", "@1", "@12", "@red-hat", "@Älva", r"\@home"]), max_size=4)
FILL = st.text(st.sampled_from("abc ,.é\n"), min_size=4, max_size=30).filter(
    lambda text: sum(map(str.isalpha, text)) > 3
)


@given(NAMES, NAMES, FILL)
def test_an_answer_mentions_what_the_words_mention_or_is_not_used(asked, said, fill):
    words = " and ".join([*asked, "in the snow"])
    answer = f"{fill} {' beside '.join(said)}, in deep snow."
    if set(asked) == set(said):
        assert set(list_mentions(accept(words, answer))) == set(asked)
    else:
        with pytest.raises(RequestError, match=r"lost|made up"):
            accept(words, answer)


@given(st.text(max_size=200))
def test_any_answer_is_text_of_one_line_or_not_used(answer):
    try:
        text = accept("a fox", answer)
    except RequestError:
        return
    assert text == " ".join(text.split())
    assert not list_mentions(text)


def test_what_stands_around_an_answer_goes():
    for answer in (
        "<think>snow is white</think>\n\nA red fox.",
        '"A red fox."',
        "“A red fox.”",
        "```text\nA red fox.\n```",
        "  A red\n fox. ",
        "the snow is white</think>A red fox.",
        "<thinking>white snow</thinking>A red fox.",
        "Here is the prompt:\n\nA red fox.",
        "Here's a detailed description of your picture: A red fox.",
        'Sure! Here is the written-out prompt:\n\n"A red fox."',
        "Certainly, here's the rewritten text:\n```\nA red fox.\n```\nLet me know if it helps.",
        "**Prompt:** A red fox.",
        "**Final prompt**:\n\n> A red fox.",
        "Prompt: “A red fox.”",
        "I have expanded your prompt:\n\nA red fox.",
        "Okay.\n\nA red fox.",
        "```\nA red fox.",
        "`A red fox.`",
        "*A red fox.*",
        "<prompt>A red fox.</prompt>",
        "<answer>\nA red fox.\n</answer>",
        "A red fox.<|im_end|>",
    ):
        assert accept("a fox", answer) == "A red fox."
    assert accept("a fox", "'The fox's den.'") == "The fox's den."


@pytest.mark.parametrize(
    "answer",
    [
        "Here a fox stands by a sign with the text of a law. It is night.",
        "A sign whose text: is lit, beside a fox",
        "Okay-looking foxes in a row, one after the other",
        "Yes is written on the wall behind the fox",
        "Description fails before such a fox",
        "An old print: a fox in the snow",
        "<3 is painted on the fox's den",
        "<dog_1> sits beside a fox, <fox_1>",
        "A fox <fox_1> sleeps near <dog_1>",
        "'Run' and 'hide' say two foxes",
        "*Run* and *hide* say two foxes",
    ],
)
def test_a_text_that_only_begins_like_one_stays(answer):
    assert accept("a fox", answer) == answer


@pytest.mark.parametrize(
    "answer",
    ["Here is the prompt:", "<think>snow</think>", "<think>snow", "snow</think>", "```text\n```", "<prompt></prompt>",
     "Sure! Here is the prompt:\n\n\"\"", "**Prompt:**"],
)  # fmt: skip
def test_an_answer_that_is_nothing_but_those_is_told_as_such(answer):
    with pytest.raises(RequestError, match="only thoughts, tags or a preamble"):
        accept("a fox", answer)


def test_quotes_inside_stay():
    assert accept("a fox", '"Run" and "hide" say two foxes') == '"Run" and "hide" say two foxes'


@pytest.mark.parametrize(
    "answer", ["", "  \n", "<think>it goes on and on", "!!", "a\x07fox in snow", "a fox \ufffd here"]
)
def test_answers_that_say_nothing_are_not_used(answer):
    with pytest.raises(RequestError, match="not used"):
        accept("a fox", answer)


def test_an_endless_answer_is_not_used():
    with pytest.raises(RequestError, match="no end"):
        accept("a fox", "A red fox " * 99, ended=False)


def test_the_conversation_says_what_is_asked_for():
    system, user = compose_messages("@1 at night", ["@1 (fox)", "@2 (bar, a place)"], changes=True)
    assert system == {"role": "system", "content": EDIT}
    assert user["content"] == "@1 at night\n\nPictures that the model sees: @1 (fox); @2 (bar, a place)."
    assert compose_messages("a fox")[0]["content"] == NEW
    for wrong in (" ", "x" * (MOST_WORDS + 1)):
        with pytest.raises(RequestError):
            compose_messages(wrong)


def test_what_makers_tell_gets_our_word_on_mentions_only_where_there_are_some():
    assert compose_messages("a fox", makers="Be brief.")[0]["content"] == "Be brief."
    assert compose_messages("@fox", makers="Be brief.")[0]["content"] == f"Be brief.\n\n{KEEP}"


def test_few_words_are_too_few_for_those_that_need_many():
    assert is_short("a fox in the snow")
    assert not is_short("word " * SHORT)
    assert {name for name, spec in SPECS.items() if spec.needs_writer} == {
        "flux3-image-klein", "flux3-image-klein-base",
    }  # fmt: skip


@given(NAMES, st.sampled_from(["{}", "```json\n{}\n```", "Here it is: {} I hope.", "<think>{{</think>{}"]))
def test_a_json_answer_comes_in_one_line_with_its_mentions(asked, around):
    words = " and ".join([*asked, "in the snow"])
    made = {"scene": "deep\tsnow", "subjects": [{"description": name} for name in asked]}
    text = accept(words, around.format(json.dumps(made, indent=2)), as_json=True)
    assert json.loads(text) == made
    assert "\n" not in text
    assert set(list_mentions(text)) == set(asked)
    with pytest.raises(RequestError, match="made up"):
        accept(words, json.dumps({**made, "mood": "@stranger"}), as_json=True)


@pytest.mark.parametrize(
    "answer", ["", "a fox", "{", "}{", "[1, 2]", "{}", '{"a": ""}', '{"a": "b"', '{"a": NaN}', "{" * 5000]
)
def test_what_is_no_json_object_is_not_used(answer):
    with pytest.raises(RequestError, match="not used"):
        accept("a fox", answer, as_json=True)


def test_a_change_is_asked_for_in_words_whatever_the_form():
    assert compose_messages("a fox", as_json=True)[0]["content"] == STRUCTURED
    assert compose_messages("a fox", changes=True, as_json=True)[0]["content"] == EDIT
