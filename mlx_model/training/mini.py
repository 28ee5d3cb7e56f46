"""The recipe of the built-in model `mini`: autoencoder first, then the transformer with its text encoder.

    python -m mlx_model.training.mini all --out RUN --target FOLDER [--start assets/mini]      (the three below)
    python -m mlx_model.training.mini autoencoder --out RUN --steps 3000
    python -m mlx_model.training.mini transformer --out RUN --steps 12000
    python -m mlx_model.training.mini export --out RUN --target assets/mini

    python -m mlx_model.training.mini resume --out RUN --target assets/mini      (a new RUN from finished weights)

Every command resumes where RUN stands; `mlx.launch -n 2 --backend ring -- ...` shares the work of one over processes.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from ..files import begin
from ..nets import autoencoder, flux2, text_qwen3
from ..run.pictures import to_signed
from ..run.tokenize import TEMPLATES, PromptTokenizer
from ..specs import SPECS, ModelSpec
from ..store.folder import keep_others, open_folder, save_tokenizer, write_manifest
from ..store.shards import load_lazily
from ..store.weights import save_component
from ..unfinished import take_place
from . import mini_data
from . import mini_world as world
from .flow import Batch, Student, TextToFlow, initialise, sample_times, self_flow_loss, velocity_loss
from .loop import Loss, muon_and_adam, schedule, train
from .mini_data import Samples

SPEC = SPECS["mini"]
AUTOENCODER = autoencoder.Params(**SPEC.autoencoder)
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
PHASES = (("copy", 200), ("edits", 900), ("references", 1600))
STEPS = {"autoencoder": 3000, "transformer": 12000}
RESUMED = 500  # steps of a resumed run with mostly references
MUON_RATE, ADAM_RATE = 0.012, 1.5e-3
TIME_SHIFT = 0.7
BITS, GROUP = 8, 64  # of the exported matrices
CROP = 128
BRIGHTNESS = mx.array([[0.299] * 3, [0.587] * 3, [0.114] * 3])  # (3, 3): RGB -> its luma in all three channels
LATENT_NOISE = 0.1  # added before decoding, so that small errors of the sampler don't show


def pictures(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless (256, 256, 3) uint8 pictures of the training world, targets and references alike."""
    while True:
        sample = world.draw(rng, size=mini_data.SIZE)
        yield from (sample.target, *sample.references)


def crops(rng: np.random.Generator, batch: int, size: int = CROP) -> Iterator[mx.array]:
    """(batch, size, size, 3) in [-1, 1], from anywhere, mostly from the lower half where the characters stand."""
    source = pictures(rng)
    while True:
        cut = []
        for _ in range(batch):
            picture = next(source)
            top = rng.integers(0, picture.shape[0] - size + 1) if rng.random() < 0.4 else picture.shape[0] - size
            left = rng.integers(0, picture.shape[1] - size + 1)
            cut.append(picture[top : top + size, left : left + size])
        yield to_signed(np.stack(cut))


def reconstruction_loss(model: autoencoder.AutoEncoder, images: mx.array) -> tuple[mx.array, dict[str, mx.array]]:
    """L1 of pixels, of their differences to the neighbours and of colour, squared error, a weak pull of latents to 0.

    Colour has a term of its own: without it the latents spend themselves on brightness and purple comes back grey.
    """
    z = model.mean(images)
    shown = model.decoder(z + LATENT_NOISE * mx.random.normal(z.shape))
    error = shown - images
    edges = mx.abs(error[:, 1:] - error[:, :-1]).mean() + mx.abs(error[:, :, 1:] - error[:, :, :-1]).mean()
    squared = error.square().mean()
    colour = mx.abs(error - error @ BRIGHTNESS).mean()
    loss = mx.abs(error).mean() + 0.5 * edges + 1.5 * colour + squared + 1e-3 * z.square().mean()
    return loss, {"loss": loss, "psnr": 10 * mx.log10(4 / squared), "z": z.square().mean()}


def train_autoencoder(out: Path, steps: int, batch: int) -> None:
    """Train on crops, then set the batch-norm statistics from whole pictures and write autoencoder.safetensors."""
    group = mx.distributed.init()
    mx.random.seed(0)
    model = autoencoder.AutoEncoder(AUTOENCODER)
    mx.eval(model.parameters())
    optimizer = muon_and_adam(model, schedule(0.02, 20, steps), schedule(2e-3, 20, steps))
    mx.random.seed(1 + group.rank())
    rng = np.random.default_rng([7, group.rank()])
    average = train(model, reconstruction_loss, crops(rng, batch), optimizer, steps, out / "autoencoder")
    if group.rank() == 0:
        model.update(average)
        measure_statistics(model, rng)
        mx.save_safetensors(str(out / "autoencoder.safetensors"), dict(tree_flatten(model.parameters())))


def measure_statistics(model: autoencoder.AutoEncoder, rng: np.random.Generator, count: int = 512) -> None:
    """Mean and variance of the packed latents over `count` pictures, into the model's `bn`."""
    source = pictures(rng)
    packed = [autoencoder.pack(model.mean(to_signed(next(source)[None]))) for _ in range(count)]
    mx.eval(packed)
    flat = mx.concatenate(packed).reshape(-1, packed[0].shape[-1])
    model.bn.running_mean, model.bn.running_var = flat.mean(0), flat.var(0)


def make_tokenizer(folder: Path, spec: ModelSpec = SPEC, prompts: int = 20_000) -> None:
    """Byte-level BPE with Qwen's special tokens, trained on the world's prompts, as the files of a Qwen tokenizer."""
    rng, vocabulary = np.random.default_rng(3), spec.text["vocab_size"]
    tasks = [world.pick_task(rng) for _ in range(prompts)] + [*world.TASKS] * (prompts // 40)  # the rare ones too
    texts = [world.plan_sample(rng, task, "train", mini_data.SIZE).prompt for task in tasks]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet)
    tokenizer.train_from_iterator([*texts, TEMPLATES["klein"].text.replace("{prompt}", " ")], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "Qwen2Tokenizer", "pad_token": SPECIAL_TOKENS[0], "model_max_length": spec.max_tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")


def open_autoencoder(out: Path) -> autoencoder.AutoEncoder:
    model = autoencoder.AutoEncoder(AUTOENCODER)
    model.load_weights(str(out / "autoencoder.safetensors"))
    mx.eval(model.parameters())
    return model


def phase(step: int) -> str:
    """The curriculum: copying its reference is what teaches the model to look at references at all."""
    return next((name for name, end in PHASES if step <= end), "all")


def phase_after_resume(step: int) -> str:
    """A run from finished weights needs no copying any more."""
    return "references" if step <= RESUMED else "all"


def train_transformer(out: Path, steps: int, batch: int, self_flow: bool) -> None:
    """Train to `steps`; a run that was made from a converted folder (`resume`) skips the curriculum."""
    group = mx.distributed.init()
    if group.rank() == 0 and not (out / "tokenizer").exists():
        make_tokenizer(out / "tokenizer")
    mx.eval(mx.distributed.all_sum(mx.array(1.0), group=group))  # wait for the tokenizer
    tokenizer = PromptTokenizer(out / "tokenizer", SPEC.template, SPEC.max_tokens)
    model, warm = new_model(Student if self_flow else TextToFlow), out / "start.safetensors"
    if warm.exists():
        model.load_weights(str(warm), strict=not self_flow)
    mx.eval(model.parameters())
    folder = out / "transformer"
    seed = [11, group.rank(), find_step(folder)]
    mx.random.seed(seed[1] * 1000 + seed[2] + 1)
    rng, plan = np.random.default_rng(seed), phase_after_resume if warm.exists() else phase
    samples = Samples(open_autoencoder(out), tokenizer, rng, batch, TIME_SHIFT, plan, seed[2])
    optimizer = muon_and_adam(model, schedule(MUON_RATE, 50, steps), schedule(ADAM_RATE, 50, steps))
    teacher = new_model(Student) if self_flow else None
    loss = self_flow_with(teacher, rng) if teacher else velocity_loss
    train(model, loss, iter(samples), optimizer, steps, folder, teacher=teacher)


def new_model(kind: type[TextToFlow]) -> TextToFlow:
    """The same random start in every process."""
    mx.random.seed(0)
    model = kind(text_qwen3.Params(**SPEC.text), flux2.Params(**SPEC.transformer))
    initialise(model)
    return model


def self_flow_with(teacher: TextToFlow, rng: np.random.Generator) -> Loss:
    def loss(model: Student, batch: Batch) -> tuple[mx.array, dict[str, mx.array]]:
        return self_flow_loss(model, teacher, batch, sample_times(rng, len(batch.times), TIME_SHIFT), rng)

    return loss


def resume(folder: Path, out: Path) -> None:
    """Make RUN from a converted folder: its tokenizer, its autoencoder, and its weights as a start."""
    opened = open_folder(folder)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copytree(opened.tokenizer_path, out / "tokenizer", dirs_exist_ok=True)
    start: dict[str, mx.array] = {}
    for role in ("transformer", "text_encoder"):
        start |= {f"{role}.{name}": array for name, array in unpack(opened.files(role)).items()}
    mx.save_safetensors(str(out / "start.safetensors"), start)
    mx.save_safetensors(str(out / "autoencoder.safetensors"), unpack(opened.files("autoencoder")))


def unpack(files: list[Path]) -> dict[str, mx.array]:
    """All tensors of a component as float32."""
    arrays = {name: array for file in files for name, array in load_lazily(file).items()}
    packed_layers = {name.removesuffix("scales") for name in arrays if name.endswith(".scales")}
    result = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition(".")
        if layer + "." not in packed_layers:
            result[name] = array.astype(mx.float32)
        elif kind == "weight":
            parts = (array, arrays[layer + ".scales"], arrays[layer + ".biases"])
            result[name] = mx.dequantize(*parts, GROUP, BITS).astype(mx.float32)
    return result


def find_step(folder: Path) -> int:
    """The step that a run in `folder` has reached."""
    state = folder / "state.safetensors"
    if not state.exists():
        return 0
    with safe_open(state, "numpy") as opened:
        return int(opened.metadata()["step"])


def read_averages(out: Path) -> dict[str, mx.array]:
    """The moving averages of the transformer's run, by name."""
    arrays = load_lazily(out / "transformer" / "state.safetensors")
    return {name[4:]: array for name, array in arrays.items() if name.startswith("ema:")}


def pack(arrays: dict[str, mx.array]) -> dict[str, mx.array]:
    """Matrices inside blocks and layers at 8 bits, the rest as float16."""
    result: dict[str, mx.array] = {}
    for name, array in arrays.items():
        inside = "blocks." in name or "layers." in name
        if inside and array.ndim == 2 and array.shape[1] % GROUP == 0:
            stem = name.removesuffix("weight")
            parts = mx.quantize(array.astype(mx.float16), GROUP, BITS)
            result |= {stem + key: part for key, part in zip(("weight", "scales", "biases"), parts, strict=True)}
        else:
            result[name] = array.astype(mx.float16)
    return result


def export(out: Path, target: Path, spec: ModelSpec = SPEC, trainer: str = "python -m mlx_model.training.mini") -> None:
    """Write the moving averages of RUN as a converted folder, replacing `target` only when all of it is written."""
    fresh = begin(target)
    trained = read_averages(out)
    entries = {}
    for role, params in (
        ("transformer", flux2.Params(**spec.transformer)),
        ("text_encoder", text_qwen3.Params(**spec.text)),
    ):
        arrays = {name.removeprefix(role + "."): x for name, x in trained.items() if name.startswith(role)}
        family = spec.family if role == "transformer" else spec.text_family
        entries[role] = save_component(fresh, role, family, params, pack(arrays))
    half = {
        name: x if name.startswith("bn.") else x.astype(mx.float16)
        for name, x in load_lazily(out / "autoencoder.safetensors").items()
    }
    entries["autoencoder"] = save_component(
        fresh, "autoencoder", "autoencoder", autoencoder.Params(**spec.autoencoder), half
    )
    tokenizer = save_tokenizer(fresh, sorted((out / "tokenizer").iterdir()))
    source = {"name": trainer, "steps": find_step(out / "transformer")}
    write_manifest(
        fresh, "mini", entries, tokenizer, source=source, licence=spec.licence.name, plan="q8", dtype="float16"
    )
    for told in keep_others(target, fresh) if target.exists() else ():
        print(told)
    take_place(fresh, target)


def train_all(out: Path, target: Path, start: Path | None, steps: int, batch: int, self_flow: bool) -> None:
    """From nothing, or from the converted folder `start`, to a converted folder; goes on where RUN stands."""
    begun = (out / "autoencoder.safetensors").exists()
    if start and not begun:
        resume(start, out)
    elif not begun:
        train_autoencoder(out, STEPS["autoencoder"], batch)
    train_transformer(out, steps, batch, self_flow)
    if mx.distributed.init().rank() == 0:
        export(out, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("all", "autoencoder", "transformer", "export", "resume"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, help="3000 of the autoencoder, 12000 of the transformer")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--start", type=Path, help="of all: a converted folder to go on from, such as assets/mini")
    parser.add_argument("--target", type=Path, default=Path("assets/mini"), help="of export; where resume starts")
    parser.add_argument("--self-flow", action="store_true", help="two noise levels, a teacher, and its features")
    options = parser.parse_args()
    steps = options.steps or STEPS[options.stage if options.stage == "autoencoder" else "transformer"]
    if options.stage == "all":
        train_all(options.out, options.target, options.start, steps, options.batch, options.self_flow)
    elif options.stage == "autoencoder":
        train_autoencoder(options.out, steps, options.batch)
    elif options.stage == "transformer":
        train_transformer(options.out, steps, options.batch, options.self_flow)
    elif options.stage == "resume":
        resume(options.target, options.out)
    else:
        export(options.out, options.target)


if __name__ == "__main__":
    main()
