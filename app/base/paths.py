"""Where things live. FLUX_LOCAL_HOME moves all of it; nothing here creates a folder."""

import os
from pathlib import Path

APP_NAME = "Flux Local"
SUFFIX = ".fluxboard"  # of a board's folder
ASSETS = Path(__file__).resolve().parents[2] / "assets"  # next to the packages, in a checkout and in a wheel


def home() -> Path:
    """The folder of everything the app keeps: models, settings, logs; with FLUX_LOCAL_HOME boards too."""
    override = os.environ.get("FLUX_LOCAL_HOME")
    if override:
        return Path(override).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path(APP_NAME, appauthor=False)


def settings() -> Path:
    """The choices that are remembered."""
    return home() / "settings.json"


def models() -> Path:
    """Converted models, one folder each."""
    return home() / "models"


def boards() -> Path:
    """New boards, where a person looks for documents."""
    if os.environ.get("FLUX_LOCAL_HOME"):
        return home() / "boards"
    from platformdirs import user_documents_path

    return user_documents_path() / APP_NAME


def loras() -> Path:
    """LoRAs that the window and `--lora NAME` know by name."""
    return home() / "loras"


def writers() -> Path:
    """Language models that write prompts out, one folder each."""
    return home() / "writers"


def helpers() -> Path:
    """Small networks that draw nothing of their own."""
    return home() / "helpers"


def downloads() -> Path:
    """Sources while they are fetched and, with --keep-source, afterwards."""
    return home() / "downloads"


def cache() -> Path:
    """What was computed of prompts and pictures, for later runs."""
    return home() / "cache"


def mini() -> Path:
    """The built-in model."""
    return ASSETS / "mini"


def guide() -> Path:
    """The guide's pages: among the assets of a wheel, among the docs of a checkout."""
    shipped = ASSETS / "guide"
    return shipped if shipped.is_dir() else ASSETS.parent / "docs" / "guide"


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path` that is there: where a question about free space can be asked."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def free_bytes(path: Path) -> int:
    """Free space for this user on the disk that `path` is, or will be, on."""
    import shutil

    return shutil.disk_usage(existing_parent(path)).free


def require_free(path: Path, model: bool = False) -> None:
    """The one rule for everything that a command writes where it is told: nothing that Flux Local keeps is there.

    Raises RequestError where `path`, links followed, lies in a board or in a folder of models, LoRAs, writers or
    downloads; a `model` may have its place among the models.
    """
    from mlx_model.errors import RequestError
    from mlx_model.files import lies_in

    whole = Path(os.path.realpath(path))
    for kept, what in ((models(), "models"), (loras(), "LoRAs"), (writers(), "writers"), (downloads(), "downloads")):
        own_place = model and kept == models() and whole.parent == Path(os.path.realpath(kept))
        if lies_in(path, kept) and not own_place:
            raise RequestError(f"{path} is inside the folder of the {what}.", "Choose another place.")
    for one in (whole, *whole.parents):
        if one.suffix.casefold() == SUFFIX and (one / "board.json").is_file():
            raise RequestError(f"{path} is inside the board {one.name}.", "Choose another place.")
