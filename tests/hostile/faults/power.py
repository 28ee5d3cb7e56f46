"""What a loss of power would take of writers that need MLX or a server: python -m tests.hostile.faults.power

Prints {name: what would be lost} as JSON. A process of its own: what is forked may use MLX only if its parent has not.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile import faulty_os

from . import disks
from .writers import MODEL, Tell, Writer, no_preparation

ROOT = Path(__file__).resolve().parents[3]
MADE_AGAIN = (".sha256.json", " .partial (", "/cache/", ".text.", ".pictures.", " cache (", "log.jsonl")
CONTENT = {"deep/weights.safetensors": os.urandom(300_000), "config.json": b'{"a": 1}'}


def trust(_: Path, told: list) -> str:
    return ""


def convert_anew(place: Path, tell: Tell) -> None:
    from converters.convert import convert

    list(convert(place / "source" / "flux-2-klein-4b.safetensors", place / "models" / "new", bits=8))


def download(place: Path, tell: Tell) -> None:
    from huggingface_hub import constants

    from converters import transfer
    from converters.hub import Remote
    from tests.network.hub_server import COMMIT, Hub, sha256

    hub = Hub({"someone/model": CONTENT})
    constants.ENDPOINT = hub.endpoint
    constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    for name, content in CONTENT.items():
        file = Remote(name, len(content), sha256=sha256(content), repo="someone/model", commit=COMMIT)
        list(transfer.fetch(file, place / "downloads" / "model"))


def prepare_lora(place: Path) -> None:
    from tests.model.store.made_loras import low_rank, peft, save

    save(place / "comic.safetensors", peft("diffusion_model.double_blocks.1.img_attn.qkv", *low_rank(0, 576, 192)))
    (place / "comic.png").write_bytes(b"a picture")


def add_lora(place: Path, tell: Tell) -> None:
    from app.models import loras

    os.environ["FLUX_LOCAL_HOME"] = str(place / "home")
    loras.add(place / "comic.safetensors")


def prepare_training(place: Path) -> None:
    (place / "set").mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(place / "set/a.png")
    (place / "set" / "a.txt").write_text("a fox")


def train(place: Path, tell: Tell) -> None:
    from app.training import session
    from mlx_model.store.folder import open_folder
    from mlx_model.training.finetune import Settings

    plan = session.Plan(place / "set", place / "runs" / "fox", "fox", Settings(rank=4, rate=1e-3), 1, size=64)
    list(session.train(open_folder(ROOT / "assets" / "mini"), plan))


def first_settings(place: Path, tell: Tell) -> None:
    from app.base import settings

    os.environ["FLUX_LOCAL_HOME"] = str(place / "home")
    settings.save(settings.Settings(model="new"))


WRITERS = (
    Writer("a new model", MODEL.prepare, convert_anew, trust),
    MODEL,
    Writer("a download", no_preparation, download, trust),
    Writer("a LoRA of the library", prepare_lora, add_lora, trust),
    Writer("a training run", prepare_training, train, trust),
    Writer("the first settings", no_preparation, first_settings, trust),
)


def find_lost(writer: Writer, root: Path) -> list[str]:
    (place := root / writer.name.replace(" ", "-")).mkdir()
    disks.prepare(writer, place)

    def work(tell: Tell) -> None:
        disk = faulty_os.Disk(place).install()
        writer.work(place, lambda _: None)
        tell(sorted({*disk.ledger.lost(place)}))

    told, code = faulty_os.in_child(work)
    return [str(told)] if code else [one for one in told[0] if not any(end in one for end in MADE_AGAIN)]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({writer.name: find_lost(writer, Path(folder)) for writer in WRITERS}))
