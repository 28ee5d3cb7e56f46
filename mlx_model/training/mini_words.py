"""What people type: the small grammar of the built-in model's world. Lower case, ASCII, short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

AT: dict[str, tuple[str, ...]] = {
    "beach": ("on the beach", "at the beach"),
    "city": ("in the city", "in a city", "in the street"),
    "snow": ("in the snow",),
    "forest": ("in the forest", "in the woods"),
    "desert": ("in the desert",),
    "park": ("in the park", "at the park", "outside"),
    "bar": ("in a bar", "in the bar", "at the bar"),
    "space": ("in space", "in outer space", "on the moon"),
    "room": ("in the room", "in a room", "at home"),
}
NOUN: dict[str, tuple[str, ...]] = {
    "beach": ("the beach", "a beach"), "city": ("the city", "a city"), "snow": ("the snow", "snow"),
    "forest": ("the forest", "a forest"), "desert": ("the desert", "a desert"), "park": ("the park", "a park"),
    "bar": ("a bar", "the bar"), "space": ("space", "outer space"), "room": ("the room", "a room"),
}  # fmt: skip
WHEN: dict[str, tuple[str, ...]] = {
    "day": ("by day", "during the day", "in daylight"),
    "sunset": ("at sunset", "at sunset", "at dusk"),
    "night": ("at night",),
}
LIGHT: dict[str, tuple[str, ...]] = {"day": ("day", "daytime"), "sunset": ("sunset",), "night": ("night", "nighttime")}
LIGHT_SENTENCES: dict[str, tuple[str, ...]] = {
    "day": ("bring back the daylight", "the sun is high now", "it is day again"),
    "sunset": ("the sun is setting", "let the sun set", "evening light, the sun goes down"),
    "night": ("night falls", "the sun is gone, it is dark now", "turn off the sun"),
}
STYLE: dict[str, tuple[str, ...]] = {
    "sketch": ("a sketch", "a pencil sketch", "a drawing"),
    "blueprint": ("a blueprint",),
    "sepia": ("sepia", "an old photo"),
    "noir": ("black and white", "film noir"),
    "pixel": ("pixel art",),
}
THING: dict[str, tuple[str, ...]] = {
    "sunglasses": ("sunglasses", "a pair of sunglasses"),
    "hat": ("a hat", "a top hat"),
    "crown": ("a crown",),
    "headset": ("a headset", "a vr headset"),
    "glasses": ("glasses", "a pair of glasses"),
}
ALSO = {"seagull": "gull", "rabbit": "bunny", "woman": "lady"}
SIDES = ("on the left", "in the middle", "on the right")

TEXT = (
    "{who} {at}{when}", "{who} {at}{when}", "{who} {at}{when}", "{at}{when}, {who}",
    "a picture of {who} {at}{when}", "there is {who} {at}{when}", "show me {who} {at}{when}",
    "please draw {who} {at}{when}", "i would like to see {who} {at}{when}",
)  # fmt: skip
TEXT_STYLED = ("a {name} picture of {who} {at}{when}", "{who} {at}{when}, {style}", "{who} {at}{when}, {name} style")
COPY = (
    "keep the picture", "the same picture", "keep it", "keep image 1", "the same as image 1", "image 1",
    "change nothing", "leave it as it is", "do not change anything", "the same picture again please",
)  # fmt: skip
PLACE = (
    "change the place to {noun}{when}", "change the background to {noun}{when}", "put it {at}{when}",
    "move it to {noun}{when}", "the same but {at}{when}", "now {at}{when}", "it happens {at}{when}",
    "take them to {noun}{when}", "new background: {noun}{when}",
    "move to {noun}{when}", "go to {noun}{when}",
    "keep everybody but put them {at}{when}", "i want this scene {at}{when}", "set the scene {at}{when}",
)  # fmt: skip
RELIGHT = (
    "make it {light}", "make it {light}", "change the light to {light}", "it is {light} now", "now {when}",
    "the same picture {when}", "change the time to {light}", "turn it into {light}", "it should be {light}",
    "can you make it {light} please", "image 1 {when}", "{sentence}", "{sentence}",
)  # fmt: skip
ADD = (
    "add {who}{side}", "add {who}{side}", "put {who} in the picture{side}", "{who} joins{side}",
    "there is also {who}{side}", "place {who}{side}", "insert {who}{side}",
    "i want {who} in the picture{side}", "please add {who}{side}",
)  # fmt: skip
REMOVE = (
    "remove {who}", "remove {who}", "take {who} away", "delete {who}", "erase {who} from the picture",
    "{who} leaves", "{who} is gone", "get rid of {who}", "please remove {who} from the scene",
)  # fmt: skip
REPLACE = (
    "replace {who} with {new}", "replace {who} with {new}", "swap {who} for {new}", "turn {who} into {new}",
    "change {who} to {new}", "{who} becomes {new}", "put {new} in place of {who}", "{new} instead of {who}",
)  # fmt: skip
WEAR = (
    "give {who} {thing}", "put {thing} on {who}", "{who} wears {thing}", "{who} is wearing {thing}",
    "add {thing} to {who}", "{who} puts on {thing}", "i want {who} to wear {thing}",
    "{who} should be wearing {thing}", "can you give {who} {thing} please", "{who} with {thing}",
)  # fmt: skip
HOLD = (
    "give {who} {thing}", "give {who} {thing}", "{who} holds {thing}", "{who} is holding {thing}", "{who} has {thing}",
    "{who} gets {thing}", "hand {who} {thing}", "put {thing} next to {who}", "{who} with {thing}",
    "i want {who} to hold {thing}", "please let {who} hold {thing}",
)  # fmt: skip
WEAR_ALONE = ("add {thing}", "put on {thing}", "wearing {thing}", "with {thing}")  # where one stands alone
HOLD_ALONE = ("add {thing}", "holding {thing}", "with {thing}")
TAKE_OFF = ("remove {thing}", "take off {thing}", "without {thing}", "take {thing} away")
UNWEAR = (
    "take off {thing} from {who}",
    "remove {thing} from {who}",
    "{who} without {thing}",
    "{who} takes off {thing}",
)
UNHOLD = ("take {thing} from {who}", "remove {thing} from {who}", "{who} without {thing}", "{who} loses {thing}")
RESTYLE = (
    "make it {style}", "make it {style}", "turn it into {style}", "{name} style", "in {name} style",
    "the same as {style}", "change the style to {name}", "draw it in {name} style",
    "i want this picture to look like {style}",
)  # fmt: skip
IDENTITY = (
    "{who} {at}{when}", "{who} {at}{when}", "{who} {at}{when}", "put {who} {at}{when}", "show {who} {at}{when}",
    "a picture of {who} {at}{when}", "{at}{when}, {who}", "now {who} is {at}{when}", "{who} goes to {noun}{when}",
)  # fmt: skip
TOGETHER = (
    "{who} {at}{when}", "{who} {at}{when}", "{who} together {at}{when}", "put {who} {at}{when}",
    "{who} meet {at}{when}", "a picture of {who} {at}{when}", "{at}{when}, {who}",
)  # fmt: skip
JOIN = (
    "add {who} to image 1{side}", "add {who} to image 1{side}", "put {who} into image 1{side}",
    "image 1 with {who} added{side}", "insert {who} in image 1{side}", "{who} join{s} image 1{side}",
    "add {who}{side}", "add {who}{side}", "put {who} there{side}", "{who} join{s}{side}",
)  # fmt: skip
GUEST = (
    "{who} in the place of {where}", "{who} in the scene of {where}", "put {who} in the place of {where}",
    "{who} with the background of {where}", "{who} in front of the background of {where}",
    "{who} in {where}", "{who} at {where}", "put {who} in {where}", "{who} in front of {where}",
)  # fmt: skip
SNOW_ON = (
    "cover {who} in snow", "put snow on {who}", "{who} is covered in snow", "let it snow on {who}",
    "put snow on the face of {who}", "snow falls on {who}",
)  # fmt: skip
SNOW_OFF = (
    "take the snow off {who}", "brush the snow off {who}", "remove the snow from {who}",
    "wipe the snow off the face of {who}", "take the snow off the face of {who}", "{who} without the snow",
    "clean the snow off {who}", "remove the snow",
)  # fmt: skip
FRIENDS = (
    "{who} {at}{when} with {friends}", "now {at}{when} with {friends}", "{who} and {friends} {at}{when}",
    "{who} meets {friends} {at}{when}", "put {who} {at}{when} with {friends}",
)  # fmt: skip
OUTFIT = (
    "image 1 with {things}", "image 1 wears {things}", "put {things} on image 1", "give image 1 {things}",
    "dress image 1 in {things}", "image 1 gets {things}", "add {things} to image 1", "image 1 wearing {things}",
    "wearing {things}", "put on {things}", "with {things}", "add {things}",
)  # fmt: skip
OUTFIT_WHOM = ("give {whom} {things}", "put {things} on {whom}", "dress {whom} in {things}", "{whom} with {things}")
WORN_AT = (
    "image 1 wearing {things} {at}{when}", "image 1 with {things} {at}{when}", "image 1 {at}{when} wearing {things}",
    "put image 1 with {things} {at}{when}",
)  # fmt: skip
SEAT = (
    "put {it} in the room", "put {it} in image 1", "add {it} to image 1", "place {it} in the room of image 1",
    "{it} in image 1", "i want {it} in this room", "add {it}", "place {it} there",
)  # fmt: skip
SEAT_AT = ("put {it}{side}", "add {it}{side}", "{it}{side}", "place {it} in image 1{side}")
AS_STYLE = (
    "image 1 in the style of {like}", "image 1 in the style of {like}", "make image 1 look like {like}",
    "draw image 1 in the style of {like}", "image 1 with the style of {like}",
)  # fmt: skip


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of them, all equally likely."""
    return options[int(rng.integers(len(options)))]


def chance(rng: np.random.Generator, p: float) -> bool:
    """True with probability p."""
    return bool(rng.random() < p)


def with_article(noun: str) -> str:
    """dog -> a dog, owl -> an owl."""
    return f"{'an' if noun[0] in 'aeio' or noun == 'umbrella' else 'a'} {noun}"


def thing(rng: np.random.Generator, name: str) -> str:
    """sunglasses -> a pair of sunglasses, ball -> a ball."""
    return pick(rng, THING[name]) if name in THING else with_article(name)


def the_thing(name: str) -> str:
    """hat -> the hat."""
    return f"the {name}"


def outfit(rng: np.random.Generator, wears: str | None, holds: str | None) -> str:
    """' wearing a hat and holding a ball', or what of it there is."""
    worn: str = pick(rng, (" wearing {}", " wearing {}", " with {}")).format(thing(rng, wears)) if wears else ""
    if not holds:
        return worn
    held = (" and holding {}",) if worn else (" holding {}", " with {}")
    with_it: str = pick(rng, held).format(thing(rng, holds))
    return worn + with_it


def in_other_words(rng: np.random.Generator, prompt: str) -> str:
    """Now and then another name for a character."""
    for name, other in ALSO.items():
        if name in prompt and chance(rng, 0.4):
            prompt = prompt.replace(name, other)
    return prompt


def when(rng: np.random.Generator, light: str | None) -> str:
    """' at night', or nothing."""
    return " " + pick(rng, WHEN[light]) if light else ""


def join_names(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def where_words(rng: np.random.Generator, place: str, light: str | None, say_day: float = 0.5) -> dict[str, str]:
    """The words {at}, {noun} and {when}; daylight goes without saying half of the time."""
    told = light if light != "day" or chance(rng, say_day) else None
    return {"at": pick(rng, AT[place]), "noun": pick(rng, NOUN[place]), "when": when(rng, told)}


def light_words(rng: np.random.Generator, light: str) -> dict[str, str]:
    """The words {light} ("nighttime"), {when} ("at night") and {sentence} ("night falls")."""
    return {
        "light": pick(rng, LIGHT[light]),
        "when": pick(rng, WHEN[light]),
        "sentence": pick(rng, LIGHT_SENTENCES[light]),
    }


def style_words(rng: np.random.Generator, style: str) -> dict[str, str]:
    """The words {style} ("a pencil sketch") and {name} ("sketch")."""
    return {"style": pick(rng, STYLE[style]), "name": "black and white" if style == "noir" else style}
