"""What a language model is told so that it writes a prompt out, and whether its answer may be used.

Models that were trained on long descriptions give generic pictures for a few words. An answer that loses or invents a
mention (@fox, @1), has no end or says nothing is thrown away: the artist's own words stay.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .errors import Advice, RequestError
from .foreign import parse_json, read_small
from .preamble import PREAMBLE

MOST_TOKENS = 600  # of an answer: three times the longest that the texts below ask for
MAKERS = "system_prompts.json"  # in the folder of FLUX.3's own writer: the texts that it was taught with, by task
MAKERS_TOKENS = 3584  # of an answer to those, by its makers' code (diffusers modular_pipelines/flux3)
SHORT = 40  # words: fewer are no description as the models that need one were taught with
MOST_WORDS = 4000  # characters of what is to be written out
MOST_TOLD = 20_000  # characters of what a model's makers tell it
MENTION = re.compile(r"(?<![\w@.])(\\?@\w[\w-]*)")
# Some templates begin the thought themselves, so that the answer has only its end.
_THINK = r"(?:think\w*|thought\w*|reasoning)"
THOUGHT = re.compile(rf"\A.*</{_THINK}>|<{_THINK}>.*\Z", re.DOTALL | re.IGNORECASE)
FENCE = re.compile(r"```\w*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
# One tag around all of it; <dog_1> alone is FLUX.3's word for a thing in a box, and <|end|> a sign of a template.
TAGGED = re.compile(r"\A<(\w+)>(.*)</\1>\Z", re.DOTALL)
LOOSE = re.compile(r"\A(?:<\|\w+\|>|<(?:prompt|answer|output|result|text|description)>)|(?:<\|\w+\|>|</\w+>)\s*\Z")
QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "'": "'", "‘": "’", "`": "`", "*": "*", "_": "_"}
INSIDE_WORDS = re.compile(r"(?<=\w)['’](?=\w)")
BROKEN, NO_TEXT = "\N{REPLACEMENT CHARACTER}", ("Cc", "Cs", "Co", "Cn")  # categories of Unicode
KEEP = "Words that begin with @ are names: keep each exactly as it is, and use no others. Answer with the text alone."
NEW = (
    "You write descriptions for a model that paints pictures. Turn the user's words into one paragraph of 60 to 150 "
    "words that says what is to be seen: the subject first, then what it does, the place, the light, the colours, the "
    "framing and the style. Keep everything that the user says, invent only what does not contradict it, and say what "
    f"is there, not what is missing. Write in English. {KEEP}"
)
PARTS = (
    "scene, subjects (a list: description, position, action), style, color_palette, lighting, mood, background, camera"
)
STRUCTURED = (
    "You write descriptions for a model that paints pictures. Turn the user's words into one JSON object with the keys "
    f"{PARTS}. Keep everything that the user says, invent only what does not contradict it, and say what is there, not "
    f"what is missing. Write in English. {KEEP}"
)
EDIT = (
    "You write instructions for a model that edits pictures. Turn the user's instruction into two to four plain "
    "sentences that say exactly what changes, where and how it should look, and that everything else stays as it is. "
    f"Do not add changes of your own. Write in English. {KEEP}"
)


def compose_messages(
    words: str,
    references: Sequence[str] = (),
    changes: bool = False,
    makers: str = "",
    as_json: bool = False,
    scene: str = "",
) -> list[dict[str, str]]:
    """The conversation that a chat template takes. `references`: what the pictures are called, with their roles.

    `changes`: it is an instruction for an edit; `makers`: what the model's makers tell it in place of our text;
    `as_json`: the description is to be one JSON object; `scene`: what other pictures of it share. Raises RequestError
    where there is nothing to write out.
    """
    if not words.strip():
        raise RequestError("There are no words to write out.", "Say in a few words what the picture should show.")
    if len(words) > MOST_WORDS:
        raise RequestError("These words are long enough already.", "Leave the writer out.")
    seen = f"\n\nPictures that the model sees: {'; '.join(references)}." if references else ""
    told = EDIT if changes else NEW
    if as_json and not changes:
        told = STRUCTURED
    elif makers:
        told = f"{makers}\n\n{KEEP}" if list_mentions(words) else makers
    return [{"role": "system", "content": told}, {"role": "user", "content": f"{_tell_scene(scene)}{words}{seen}"}]


def _tell_scene(scene: str) -> str:
    if not scene:
        return ""
    return (
        f"This picture is one of a scene. {scene} Describe places, people and things as in every other picture of it. "
        "Show only this moment:\n\n"
    )


def read_makers(folder: Path, changes: bool = False) -> str:
    """What the makers of a writer tell it, "" where they say nothing.

    Nothing for an edit: they show it the pictures, which mlx-lm does not.
    """
    try:
        told = parse_json(read_small(folder / MAKERS))
    except (OSError, ValueError):
        return ""
    text = told.get("t2i") if isinstance(told, dict) and not changes else None
    return text if isinstance(text, str) and len(text) <= MOST_TOLD else ""


def is_short(words: str) -> bool:
    """Whether a model that needs written-out prompts should have these written out."""
    return len(words.split()) < SHORT


def list_mentions(text: str) -> Counter[str]:
    """What a text mentions, as it is written there."""
    return Counter(MENTION.findall(unicodedata.normalize("NFC", text)))


def accept(words: str, answer: str, ended: bool = True, as_json: bool = False) -> str:
    """The text of an answer. Raises RequestError, saying why, where it can't stand for `words`.

    `ended`: the model came to an end by itself; `as_json`: it was asked for an object, which comes in one line.
    """
    if not ended:
        raise RequestError(
            "What the writer made is not used: it had no end.",
            "Your own words stay. A model that doesn't stop by itself was not taught to answer: take another one.",
        )
    text = unicodedata.normalize("NFC", _read_object(answer) if as_json else _unwrap(answer))
    given, found = list_mentions(words), list_mentions(text)
    lost, invented = sorted(set(given) - set(found)), sorted(set(found) - set(given))
    if len(re.findall(r"\w", text)) < 3:
        more = re.search(r"\w{2}", answer)
        raise _refuse("there is no text in it, only thoughts, tags or a preamble" if more else "it says nothing")
    if BROKEN in text or any(unicodedata.category(sign) in NO_TEXT for sign in text):
        raise _refuse("it holds characters that are no text")
    if lost or invented:
        raise _refuse(f"it {'lost' if lost else 'made up'} {', '.join(lost or invented)[:80]}")
    return text


def _read_object(answer: str) -> str:
    """The JSON object of an answer, whatever stands around it. Raises RequestError where there is none."""
    text = THOUGHT.sub("", answer)
    begin, end = text.find("{"), text.rfind("}") + 1
    try:
        read = parse_json(text[max(0, begin) : end].encode())
        if isinstance(read, dict) and any(read.values()):
            return json.dumps(read, ensure_ascii=False, allow_nan=False)
    except ValueError:
        pass
    raise _refuse("it is no JSON object")


def _unwrap(answer: str) -> str:
    """Without thoughts, what leads up to the text, and fences, tags and quotes around it; in one line."""
    text, before = THOUGHT.sub("", answer).strip(), ""
    while text != before:
        before = text
        text = _take_inside(LOOSE.sub("", PREAMBLE.sub("", text, 1)).strip()).strip()
    return " ".join(text.split())


def _take_inside(text: str) -> str:
    """Of one fence, tag or pair of quotes around all of it; of a fence also where words stand around that."""
    if fenced := FENCE.search(text):
        return fenced[1]
    if tagged := TAGGED.match(text):
        return tagged[2]
    inner, close = text[1:-1], QUOTES.get(text[:1])
    whole = close == text[-1:] and not {text[0], close} & set(INSIDE_WORDS.sub("", inner)) if close else False
    if text[:2] == text[-2:] == "**" and "**" not in text[2:-2]:
        return text[2:-2]
    return inner if whole and len(text) > 1 else text


def _refuse(why: str) -> RequestError:
    return RequestError(f"What the writer made is not used: {why}.", Advice("write_again"))
