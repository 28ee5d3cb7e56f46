"""Prints README's table of models from SPECS: python -m tests.readme_models [--write]"""

import sys
from pathlib import Path

from app.models.library import disk_bytes, does_line, facts
from mlx_model.memory import GIB, Machine, forecast, gib
from mlx_model.specs import SPECS, ModelSpec

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- models: made by python -m tests.readme_models --write -->", "<!-- end of models -->"
MAC = Machine("Apple M4 Pro", 48 * GIB, 48 * GIB, 14, True, 9.2)


def table() -> str:
    """One line per row of SPECS; memory is the forecast for Apple GPUs at the model's default size."""
    head = "| model | does | licence | download | on disk, 8 bits | memory, 8 bits | 4 bits |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *map(_line, SPECS.values())])


def _line(spec: ModelSpec) -> str:
    licence = f"[{spec.licence.name}]({spec.licence.url})" + (", gated" if spec.gated else "")
    memory = [gib(forecast(spec, bits=bits, metal=True).peak) for bits in (8, 4)]
    if spec.repo is None:  # it comes in one precision
        return f"| `{spec.name}` | {_does(spec)} | {licence} | comes with the program | | | |"
    sizes = [_gigabytes(spec.download_bytes), _gigabytes(disk_bytes(spec, 8)), *memory]
    return f"| `{spec.name}` | {_does(spec)} | {licence} | {' | '.join(sizes)} |"


def _does(spec: ModelSpec) -> str:
    return does_line(facts(spec, MAC, [])["does"])


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def with_table(text: str) -> str:
    """README with the table between its marks replaced."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(with_table(README.read_text("utf-8")), "utf-8")
    else:
        print(table())
