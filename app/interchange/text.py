"""Text from and for other programs: decoded, and rid of what XML, JSON and file names can't hold."""

import codecs
import re

from mlx_model.errors import RequestError

LONGEST = 20_000  # characters of one caption; ten times what fits a page
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
BREAKS = re.compile("\r\n?|[\u2028\u2029\x85]")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff]")
SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: object, longest: int = LONGEST) -> str:
    r"""Line ends as \n, no control characters, no lone surrogates, at most `longest` characters; "" for no text."""
    if not isinstance(text, str):
        return ""
    text = SURROGATES.sub("\ufffd", UNPRINTABLE.sub("", BREAKS.sub("\n", text)))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def line(text: object, longest: int = 200) -> str:
    """`clean` on a single line: titles, names, headings."""
    return clean(" ".join(clean(text).split()), longest)


def decode(data: bytes, name: str, notes: list[str]) -> str:
    """UTF-8, or UTF-16 with its mark, else Windows' Western European with a note. Raises RequestError for no text."""
    encoding = next((encoding for mark, encoding in BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        notes.append(f"{name} is not in UTF-8: it was read as Western European. Check the accents.")
    if "\0" in text:
        raise RequestError(f"{name} is not a text file.", "Export the script again as plain text or .fdx.")
    return text
