"""A tiny checkpoint in the layout of its repository on the hub."""

from pathlib import Path

from tests.converters import checkpoints


def checkpoint_files(root: Path) -> dict[str, bytes]:
    """Name in the repository -> content, of FLUX.2 klein in random numbers."""
    file = checkpoints.single_file(root)
    (root / "transformer").mkdir()
    file.rename(root / "transformer" / "diffusion_pytorch_model.safetensors")
    (root / "model_index.json").write_text('{"_class_name": "Flux2KleinPipeline"}')
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
