"""For one model: which of the components that were found fill it, which is best and why, what is missing and where
that is published.
"""

from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from mlx_model.errors import FluxLocalError
from mlx_model.files import use_scratch_folder
from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.spec_parts import Download
from mlx_model.specs import OPTIONAL, SPECS, ModelSpec
from mlx_model.store.folder import roles

from .identify import agrees, list_rows, name_row
from .prepare import check_part, check_width, read_params, read_sizes
from .source import Source, read_index
from .survey import Found, Survey
from .tokenizers.files import Tokenizers, collect_tokenizer_files
from .vocabularies import lay_out

ENCODERS = {"tokenizer": "text_encoder", "pooled tokenizer": "pooled_encoder"}
# What another model has in the very same shape; only a name tells it. By component.
LOOKALIKES = {"autoencoder": ("sd3", "sdxl"), "tiny_autoencoder": ("sd3", "sdxl")}
# Where a component lies in its repository: the first of these that is asked for there.
FOLDERS = {
    "transformer": ("transformer", "selfflow_imagenet256.pt"),
    "text_encoder": ("text_encoder_2", "text_encoder"),
    "pooled_encoder": ("text_encoder",),
    "image_encoder": ("image_encoder",),
    "image_embedder": ("image_embedder",),
    "autoencoder": ("vae",),
    "tokenizer": ("tokenizer_2", "tokenizer"),
    "pooled tokenizer": ("tokenizer",),
}
WITH_VISION = 5e6  # the base of Qwen3-VL's angles; its language model has Qwen3's tensors, and Qwen3's base is 1e6
VISION = ("visual.", "vision_tower.")


@dataclass
class Gathered:
    """What a model would be made of. `reasons`: why this one of several; `missing`: role -> what is wrong with what is
    there, "" for nothing there; `certain`: whether the transformer is told from models of the same size.
    """

    spec: ModelSpec
    chosen: dict[str, Found] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    missing: dict[str, str] = field(default_factory=dict)
    certain: bool = True

    def make_source(self, place: Path) -> Source:
        """What convert takes; `place` is what the person named."""
        parts = {role: [found.part] for role, found in self.chosen.items()}
        return Source(place, parts, self.tokenizers, read_index(self.chosen["transformer"].part))

    def list_downloads(self) -> list[Download]:
        """What of the model's repositories fills what is missing."""
        return list(dict.fromkeys(part for role in self.missing if (part := find_download(self.spec, role))))


def gather(spec: ModelSpec, found: Survey) -> Gathered:
    """Choose for every role of `spec` among what was found."""
    made = Gathered(spec)
    _choose_transformer(made, found)
    main = made.chosen.get("transformer")
    params = main.params if main else import_module(f"mlx_model.nets.{spec.family}").Params(**spec.transformer)
    for role, family in {**roles(spec), **OPTIONAL}.items():
        if role != "transformer":
            _choose_companion(role, family, params, made, found)
    text = _find_tokenizer("tokenizer", spec.template, made, found) if spec.takes_text else None
    pooled = _find_tokenizer("pooled tokenizer", "clip", made, found) if "pooled_encoder" in spec.extras else None
    made.tokenizers = Tokenizers(text, pooled)
    return made


def _choose_transformer(made: Gathered, found: Survey) -> None:
    role = "transformer"
    there = [one for one in found.parts if one.part.layout.role == role and one.part.layout.family == made.spec.family]
    refused = {id(one): why for one in there if (why := _refuse_row(one, made.spec))}
    fitting = [one for one in there if id(one) not in refused]
    ranks = {id(one): (_name(one, made.spec) is None, *_rank(role, one)) for one in fitting}
    fitting.sort(key=lambda one: ranks[id(one)])
    if not fitting:
        made.missing[role] = next(iter(refused.values()), "")
        return
    made.chosen[role] = fitting[0]
    made.certain = not ranks[id(fitting[0])][0] or len(_list_named_rows(fitting[0], made.spec)) == 1
    words = ("its name says it is this model", *RANKS)
    made.reasons[role] = _explain(fitting, [ranks[id(one)] for one in fitting], words)


def _refuse_row(one: Found, spec: ModelSpec) -> str:
    """Why a transformer of the family is not this model's, "" where it may be."""
    rows, _ = list_rows(one.part.layout.family, one.params)
    if spec not in rows or not agrees(spec, read_index(one.part)):
        return f"{one.place.name} is of another model or size"
    named = _name(one, spec)
    if named and named != spec.name and named not in _list_bases(spec):
        return f"{one.place.name} is {SPECS[named].title} by its name"
    return ""


def _list_bases(spec: ModelSpec) -> list[str]:
    """Models whose transformer this one works on."""
    return [part.model for part in spec.further if part.model]


def _list_named_rows(one: Found, spec: ModelSpec) -> list[ModelSpec]:
    """The rows that a transformer may be; models on another's transformer go by that one's name."""
    rows, _ = list_rows(one.part.layout.family, one.params)
    index = read_index(one.part)
    return [row for row in rows if row.repo and agrees(row, index) and not _list_bases(row)]


def _name(one: Found, spec: ModelSpec) -> str | None:
    """The model that the names of a transformer's file and folders say, None for none."""
    rows = _list_named_rows(one, spec)
    row = rows[0] if len(rows) == 1 else name_row(one.part.files[0], rows, read_index(one.part).get("_name", ""))
    return row.name if row else None


RANKS = ("the others are by their names of another program's models", "it holds the most bits a weight",
         "it is as good and smaller", "it comes first")  # fmt: skip


def _rank(role: str, one: Found) -> tuple[Any, ...]:
    """What is smallest is best, in the order of RANKS."""
    alike = any(word in one.place.name.lower() for word in LOOKALIKES.get(role, ()))
    return alike, -round(min(16.0, one.bits), 1), one.bytes


def _explain(fitting: list[Found], ranks: list[tuple[Any, ...]], words: tuple[str, ...]) -> str:
    """Why the first was chosen; "" where it was alone."""
    if len(fitting) < 2:
        return ""
    differ = (number for number, (one, other) in enumerate(zip(*ranks[:2], strict=True)) if one != other)
    first = next(differ, -1)  # the last of the words
    others = ", ".join(f"{one.place.name} ({one.form})" for one in fitting[1:4])
    more = f" and {len(fitting) - 4} more" if len(fitting) > 4 else ""
    return f"{words[first]}; not taken: {others}{more}"


def _choose_companion(role: str, family: str, transformer: Any, made: Gathered, found: Survey) -> None:
    """Fill a role, or say why nothing that is there fits it."""
    there = [one for one in found.parts if one.part.layout.role == role and one.part.layout.family == family]
    main = made.chosen.get("transformer")
    refused = {id(one): why for one in there if (why := _refuse(role, one, main, made.spec, transformer))}
    ranks = {id(one): (-_count_common(main, one), *_rank(role, one)) for one in there}
    fitting = sorted((one for one in there if id(one) not in refused), key=lambda one: ranks[id(one)])
    if fitting:
        made.chosen[role] = fitting[0]
        words = ("it lies with the transformer", *RANKS)
        made.reasons[role] = _explain(fitting, [ranks[id(one)] for one in fitting], words)
    elif role not in OPTIONAL:
        made.missing[role] = next(iter(refused.values()), "")


def _count_common(main: Found | None, one: Found) -> int:
    """2 in the transformer's own file, 1 in its checkpoint, else 0."""
    if main is None:
        return 0
    if set(main.part.files) & set(one.part.files):
        return 2
    folder = main.part.files[0].parent
    return int(folder.name == "transformer" and folder.parent == one.part.files[0].parent.parent)


def _refuse(role: str, one: Found, main: Found | None, spec: ModelSpec, transformer: Any) -> str:
    """Why a component does not fit beside the transformer `main`, "" where it does."""
    try:
        params = read_companion(one, spec, transformer)
        check_width(role, params, transformer)
        if one.part.params is None:
            check_part(role, one.part, params, one.shapes, spec)
    except FluxLocalError as error:
        return f"{one.place.name}: {error.message}"
    if role == "text_encoder" and not _count_common(main, one) and _is_of_another_series(one, spec):
        return f"{one.place.name} is of another series of the same size (Qwen3 is not Qwen3-VL)"
    return ""


def read_companion(one: Found, spec: ModelSpec, transformer: Any) -> Any:
    """The Params of a component beside this transformer. Raises ConvertError."""
    return one.params or read_params(one.part, lambda: read_sizes(one.part, one.shapes, spec, transformer))


def _is_of_another_series(one: Found, spec: ModelSpec) -> bool:
    """Whether an encoder's angles are not those of the row: by its config, else by a vision tower, else by its name."""
    if one.part.layout.family != "text_qwen3":
        return False
    published = import_module(f"mlx_model.nets.{spec.text_family}").Params(**spec.text).rope_theta
    config = one.part.told.get("text_config") or one.part.told
    told = (config.get("rope_parameters") or config).get("rope_theta") if isinstance(config, dict) else None
    vision = any(mark in name for name in one.part.entries for mark in VISION) or "vl" in one.place.name.lower()
    return float(told or (WITH_VISION if vision else 1e6)) != published and spec.repo is not None


def _find_tokenizer(role: str, template: str, made: Gathered, found: Survey) -> Path | None:
    """The nearest tokenizer that has the tokens of the template and no more than the encoder knows."""
    encoder = made.chosen.get(ENCODERS[role])
    vocabulary = _read_vocabulary(encoder) if encoder else 2**31
    near = encoder.part.files[0] if encoder else Path()
    places = sorted(found.tokenizers, key=lambda one: (one.is_file(), -_count_parents(one, near), str(one)))
    for place in places:
        if _has_tokens(place, template, vocabulary):
            return place
    made.missing[role] = ""
    return None


def _read_vocabulary(encoder: Found) -> int:
    """Rows of its table of tokens, the only one whose name says so."""
    tables = [shape[0] for name, shape in encoder.shapes.items() if "token" in name or name == "shared.weight"]
    return max(tables, default=2**31)


def _count_parents(one: Path, other: Path) -> int:
    both = zip(one.parts, other.parts, strict=False)
    return next((number for number, (mine, theirs) in enumerate(both) if mine != theirs), 0)


@cache
def _has_tokens(place: Path, template: str, vocabulary: int) -> bool:
    try:
        with use_scratch_folder() as scratch:
            files = collect_tokenizer_files(lay_out(place, scratch / "inside"), scratch / "made")
            PromptTokenizer(files[0].parent, template, 0).check(vocabulary)
    except (FluxLocalError, OSError):
        return False
    return True


def find_download(spec: ModelSpec, role: str) -> Download | None:
    """The files of the model's repositories that fill a role."""
    if spec.repo is None:
        return None
    for folder in FOLDERS[role]:
        for part in (Download(spec.repo, spec.files), *spec.further):
            if part.into == folder:
                return part
            files = tuple(name for name in part.files if name.split("/")[0] == folder)
            if files and not part.into:
                return Download(part.repo, files)
    return None


def say_missing(made: Gathered, role: str) -> str:
    """What would fill a role and where it is published."""
    part, why = find_download(made.spec, role), made.missing[role].rstrip(".")
    place = f"published in {part.repo} ({part.into or part.files[0].split('/')[0]})" if part else ""
    return "; ".join(filter(None, (place, why)))


def describe_model(made: Gathered) -> dict[str, Any]:
    """Ready for JSON: what is there by role, what is missing, and whether it is certain which model this is."""
    chosen = {
        role: {"file": str(one.place), "form": one.form, "bytes": one.bytes, "why": made.reasons[role]}
        for role, one in made.chosen.items()
    }
    tokenizers = {name: str(place) for name, place in asdict(made.tokenizers).items() if place}
    missing = {role: say_missing(made, role) for role in made.missing}
    return {
        "name": made.spec.name,
        "title": made.spec.title,
        "certain": made.certain,
        "parts": chosen,
        "tokenizers": tokenizers,
        "missing": missing,
    }
