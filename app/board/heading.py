"""What a scene's heading says: a number of its own, and where it is: INT. BAR - NIGHT is the interior of a bar."""

import re
from functools import cache

OWN_NUMBER = re.compile(r"\s*#([0-9A-Za-z.]{1,10})#\s*$")  # at the end of a heading, as Fountain writes it
SIDES = {
    "int": "interior", "ext": "exterior", "innen": "interior", "außen": "exterior", "aussen": "exterior",
    "interior": "interior", "exterior": "exterior",
}  # fmt: skip
_SIDE = "|".join(SIDES)
BOTH = re.compile(rf"(?:(?:{_SIDE})\.?\s*/\s*(?:{_SIDE})|i/e)\b[.:]?\s*", re.IGNORECASE)
ONE = re.compile(rf"({_SIDE})\b[.:]?\s*", re.IGNORECASE)
DASH = re.compile(r"\s+[-\u2013\u2014]+\s+")
EDGES = " .-\u2013\u2014"
UNSEEN = ("continuous", "later", "moments later", "same", "same time", "weiter", "später", "continu", "plus tard")


def say_place(heading: str) -> str:
    """In words that a picture can be made by, such as "interior, bar, night"; "" where it says none.

    When in relation to the scene before (CONTINUOUS, LATER) can't be seen and is left out.
    """
    text = OWN_NUMBER.sub("", heading).strip()
    side, rest = _cut_side(text)
    parts = [part.strip(EDGES) for part in DASH.split(rest)]
    seen = [part for part in (side, *parts) if part and part.casefold() not in UNSEEN]
    return ", ".join(part.lower() if part.isupper() else part for part in seen)


def name_place(heading: str) -> str:
    """The place alone, such as "kitchen" of INT. KITCHEN - DAY; "" where there is none."""
    rest = _cut_side(OWN_NUMBER.sub("", heading).strip())[1]
    return DASH.split(f" {rest}")[0].strip(EDGES).lower()  # a dash that it begins with has none before it


def _cut_side(text: str) -> tuple[str, str]:
    """Inside or outside, and what follows."""
    if both := BOTH.match(text):
        return "interior and exterior", text[both.end() :]
    if one := ONE.match(text):
        return SIDES[one[1].lower()], text[one.end() :]
    return "", text


@cache
def letters(place: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA."""
    text = ""
    place += 1
    while place:
        place, digit = divmod(place - 1, 26)
        text = chr(ord("A") + digit) + text
    return text
