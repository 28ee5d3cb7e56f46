"""File names that every file system takes, and the order in which people count."""

import re
import unicodedata

UNSAFE = re.compile(r'[<>:"/\\|?*\s]+')
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³")}
LONGEST = 80  # bytes: room for a number and an extension below the 143 of encrypted and the 255 of other disks
DIGITS = "0123456789"
JOINERS = "\u200d\ufe0f"  # invisible, but parts of emoji


def safe_name(text: str, fallback: str = "untitled") -> str:
    """`text` as a file name without extension for macOS, Windows, Linux, exFAT and network disks alike."""
    text = "".join(c for c in unicodedata.normalize("NFC", text) if _visible(c))
    text = _cut(re.sub(r"-{2,}", "-", UNSAFE.sub(lambda match: " " if match[0].isspace() else "-", text)))
    text = text.strip(" .-") or fallback
    return f"{text}-" if text.split(".")[0].strip().lower() in RESERVED else text


def _visible(character: str) -> bool:
    return character.isspace() or character in JOINERS or not unicodedata.category(character).startswith("C")


def _cut(text: str) -> str:
    return text.encode()[:LONGEST].decode(errors="ignore")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key: 2 before 10, capitals as small letters, accents composed."""
    parts = [part for part in re.split(r"([0-9]+)", unicodedata.normalize("NFC", name).casefold()) if part]
    key = tuple((0, int(part[:300]), "") if part[0] in DIGITS else (1, 0, part) for part in parts)
    return (*key, (-1, 0, name))
