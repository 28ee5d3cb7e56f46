"""What a stranger's file says, before anything believes it: JSON within bounds."""

import json
from typing import Any

DEEPEST, MOST_DIGITS = 100, 25  # levels of nesting; digits of a whole number: 2^64 has 20


def parse_json(text: str | bytes, absurd: float | None = None) -> Any:
    """The value; `absurd` stands in it for whole numbers without end.

    Raises ValueError, in words for people: no JSON, too deep, or such a number where there is no `absurd`.
    """

    def parse_whole(digits: str) -> int | float:
        if len(digits) <= MOST_DIGITS:
            return int(digits)
        if absurd is None:
            raise ValueError("it has a number of too many digits")
        return absurd

    try:
        value = json.loads(text, parse_int=parse_whole)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON at line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no text in UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if measure_depth(value) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def measure_depth(tree: object) -> int:
    """Levels of lists and objects; of deeper trees than DEEPEST only that they are."""
    level, depth = [tree], 0
    while level and depth <= DEEPEST:
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level, depth = [item for items in inner for item in items], depth + 1
    return depth
