"""Prints README's table of models from SPECS: python -m tests.readme_models [--write]"""

from pathlib import Path

from app.models.library import disk_bytes, does_line, facts
from mlx_model.languages import LANGUAGES, LanguageModel
from mlx_model.memory import GIB, Machine, forecast, gib
from mlx_model.specs import SPECS, ModelSpec
from mlx_model.writing import MAKERS_TOKENS
from tests.made_tables import Place

PLACE = Place(
    Path(__file__).parents[1] / "README.md",
    "<!-- models: made by python -m tests.readme_models --write -->",
    "<!-- end of models -->",
)
MAC = Machine("Apple M4 Pro", 48 * GIB, 48 * GIB, 14, True, 9.2)


def table() -> str:
    """One line per row of SPECS and LANGUAGES; memory is the forecast for Apple GPUs at the model's default size."""
    head = "| model | does | licence | download | on disk, 8 bits | memory, 8 bits | 4 bits |"
    rows = [*map(_line, SPECS.values()), *map(_line_of_writer, LANGUAGES.values())]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def _line(spec: ModelSpec) -> str:
    licence = f"[{spec.licence.name}]({spec.licence.url})" + (", gated" if spec.gated else "")
    memory = [gib(forecast(spec, bits=bits, gpu=True).peak) for bits in (8, 4)]
    if spec.repo is None:  # it comes in one precision
        return f"| `{spec.name}` | {_does(spec)} | {licence} | comes with the program | | | |"
    sizes = [_gigabytes(spec.download_bytes), _gigabytes(disk_bytes(spec, 8)), *memory]
    return f"| `{spec.name}` | {_does(spec)} | {licence} | {' | '.join(sizes)} |"


def _line_of_writer(row: LanguageModel) -> str:
    licence = f"[{row.licence.name}]({row.licence.url})" + (", gated" if row.gated else "")
    sizes = [_gigabytes(row.download_bytes), _gigabytes(row.disk_bytes(8))]
    sizes += [gib(row.memory_bytes(bits, MAKERS_TOKENS)) for bits in (8, 4)]
    return f"| `{row.name}` | write prompts out | {licence} | {' | '.join(sizes)} |"


def _does(spec: ModelSpec) -> str:
    return does_line(facts(spec, MAC, [])["does"])


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


if __name__ == "__main__":
    PLACE.print_or_write(table())
