"""Numbers and stages as people say them, the same on the command line and in the window."""

import re
import sys
from datetime import UTC, datetime

# What a person calls the program that shows files: as on the button that opens it, and in a sentence.
SHOW_IN_FILES, IN_FILES = {
    "darwin": ("Show in Finder", "in Finder"),
    "win32": ("Show in Explorer", "in Explorer"),
}.get(sys.platform, ("Show in Folder", "in its folder"))

STAGES = {
    "text": "Reading the prompt",  # what a Stage's name is in words; what it is about may follow
    "look": "Looking through",
    "references": "Looking at the pictures",
    "denoise": "Painting",
    "decode": "Developing",
    "load": "Opening",
    "depth": "Finding depth",
    "enlarge": "Enlarging",
    "panel": "Panel",
    "bench": "Timing",
    "ask": "Asking Hugging Face",
    "download": "Downloading",
    "read": "Reading",
    "convert": "Converting",
    "write": "Writing",
    "check": "Checking",
    "verify": "Checking",
    "train": "Training",
    "samples": "Painting samples",
    "prior": "Painting what it knows",
}


def say_duration(seconds: float | None) -> str:
    """Such as 0.25 s, 48 s, 2 min 5 s, 1 h 20 min; empty for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def say_length(seconds: float) -> str:
    """How long a panel is shown, such as 2 s, 2.42 s: frames make fractions without an end."""
    return f"{round(seconds, 2):g} s"


def say_left(seconds: float | None) -> str:
    """Such as 1 s left, 2 min 5 s left: a guess has no hundredths. Empty where there is none."""
    return f"{say_duration(max(1, round(seconds)))} left" if seconds else ""


def say_moment(made: str, now: datetime | None = None) -> str:
    """An ISO time by the clock here: 14:05 today, 3 Nov 14:05 before, 3 Nov 2025 of another year; "" for none."""
    try:
        moment, now = datetime.fromisoformat(made).astimezone(), (now or datetime.now(UTC)).astimezone()
    except (ValueError, OverflowError):
        return ""
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    day = f"{moment.day} {moment:%b}"
    return f"{day} {moment:%H:%M}" if moment.year == now.year else f"{day} {moment.year}"


def say_count(count: int, one: str, many: str = "") -> str:
    """Such as 1 panel, 3 panels."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def say_stage(name: str) -> str:
    """Such as "Reading the prompt"; a stage without words by its name."""
    return STAGES.get(name, name.capitalize())


# Commands of terminals, marks that turn the direction of text, and letters that nobody sees, but for the joiners
# inside emoji and words of some scripts.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
BREAKS = re.compile("\r\n?|[\n\u2028\u2029\x85\x0b\x0c]")


def show_plainly(text: str, lines: bool = True) -> str:
    """Text as a terminal or a label may have it: hidden marks are seen as \ufffd; without `lines`, on a single one."""
    text = BREAKS.sub("\n" if lines else " ", text)
    return HIDDEN.sub("\ufffd", text if lines else text.replace("\t", " "))


def let_break(text: str, most: int = 40) -> str:
    """The same with places inside of longer words where a line may break: none runs past the edge of a dialog."""
    return re.sub(rf"\S{{{most}}}(?=\S)", "\\g<0>\u200b", text)
