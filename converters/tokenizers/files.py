"""The tokenizers of a checkpoint: as tokenizer.json, or in the older files that FLUX.1's repositories have."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from .t5_clip import make_clip_tokenizer, make_t5_tokenizer

FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
WHOLE, CONFIG, CLIP, T5 = "tokenizer.json", "tokenizer_config.json", ("vocab.json", "merges.txt"), "spiece.model"


@dataclass(frozen=True)
class Tokenizers:
    """Folders that hold the text encoder's tokenizer and the pooled encoder's; the first may serve either."""

    text: Path | None = None
    pooled: Path | None = None


def find_tokenizers(places: list[Path]) -> Tokenizers:
    """From the first place that has one. Where there are two, diffusers calls the pooled encoder's the first."""
    text = pooled = None
    for place in (place for place in places if place.is_dir()):
        names = ("tokenizer_2", "tokenizer", "text_encoder", ".")
        found = [place / name for name in names if is_complete(place / name)]
        if text is None and found:
            text = found[0]
        second = place / ("tokenizer" if found and found[0].name == "tokenizer_2" else "pooled_tokenizer")
        if pooled is None and is_complete(second):
            pooled = second
    return Tokenizers(text, pooled)


def is_complete(directory: Path) -> bool:
    def there(*names: str) -> bool:
        return all((directory / name).is_file() for name in names)

    return there(CONFIG) and (there(WHOLE) or there(*CLIP) or there(T5))


def collect_tokenizer_files(directory: Path, scratch: Path) -> list[Path]:
    """The files to keep, in one folder: `scratch` where tokenizer.json has to be made. Raises ConvertError."""
    files = [directory / name for name in FILES if (directory / name).is_file()]
    if directory / WHOLE in files:
        return files
    old = directory / T5
    made = make_t5_tokenizer(old) if old.is_file() else make_clip_tokenizer(*(directory / name for name in CLIP))
    scratch.mkdir(parents=True, exist_ok=True)
    made.save(str(scratch / WHOLE))
    for file in (file for file in files if file.name not in CLIP):
        shutil.copyfile(file, scratch / file.name)
    return sorted(scratch.iterdir())
