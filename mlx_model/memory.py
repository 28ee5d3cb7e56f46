"""What a run will need, said before it starts: peak memory by phase, and this machine's share.

Everything here is predicted from shapes, not measured on the machine. It needs no mlx, so that `models list` is quick.
Letters: L tokens of a step, T text, N image, R reference tokens, h hidden width, r MLP ratio, m matrices of an MLP (3
where it is gated), H heads, b bytes of a number (2 on Apple GPUs, where a run is in bfloat16; 4 on a CPU, float32).
"""

import functools
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .cuda import find_card
from .geometry import Size
from .spec_parts import Finer
from .specs import PACKED_ROLES, ModelSpec

GIB = 2**30
TEXT_ROLES, PICTURE_ROLES = ("text_encoder", "pooled_encoder"), ("image_encoder", "image_embedder")
SCALE_BITS = 0.25  # a scale and a bias for every 64 packed weights, a byte of each: they have the run's dtype
MAPS, WHOLE_MAPS = 5, 23  # of an autoencoder that goes by strips, of one strip that is the whole picture: see _maps
STRIPS = 12 * 2**23  # twelve times strips.STRIP
PATCHES = 729  # of SigLIP at 384 pixels
# fp16 = fp32 matrix rate, TFLOPS: huggingface.js hardware.ts; M5 with its matrix units (tzakharko.github.io), estimated
CHIPS = {
    "M1": 2.6,
    "M1 Pro": 5.2,
    "M1 Max": 10.4,
    "M1 Ultra": 21.0,
    "M2": 3.6,
    "M2 Pro": 6.8,
    "M2 Max": 13.5,
    "M2 Ultra": 27.2,
    "M3": 4.1,
    "M3 Pro": 7.4,
    "M3 Max": 14.2,
    "M3 Ultra": 28.4,
    "M4": 4.6,
    "M4 Pro": 9.2,
    "M4 Max": 18.4,
    "M5": 15.0,
    "M5 Pro": 30.0,
    "M5 Max": 60.0,
}
SHARES = {"Metal": 0.85, "CUDA": 0.9, "CPU": 0.92}  # of memory, for one program
CORE_TFLOPS = {True: 0.08, False: 0.0027}  # one CPU core with OpenBLAS, with the BLAS inside MLX's wheel; measured


@dataclass(frozen=True)
class Machine:
    chip: str
    total: int  # bytes of memory that this process may use at most
    available: int
    cores: int
    metal: bool
    tflops: float | None  # predicted matrix rate; None for a chip that isn't in the table
    cuda: bool = False  # chip and memory are then those of the graphics card

    @property
    def gpu(self) -> bool:
        """Whether a run is in half precision and its attention fused, so that its scores are never whole in memory."""
        return self.metal or self.cuda

    @property
    def backend(self) -> str:
        """What MLX computes on."""
        return "Metal" if self.metal else "CUDA" if self.cuda else "CPU"

    @property
    def usable(self) -> int:
        """What a run may take: the rest is the system's, and on a Mac and a card the screen's."""
        return int(self.total * SHARES[self.backend])

    @property
    def number_bytes(self) -> int:
        return 2 if self.gpu else 4


class Streamed(NamedTuple):
    """Bytes of a network whose blocks are read as it runs: what stays, and two blocks, at work and on its way."""

    resting: int
    moving: int

    @property
    def total(self) -> int:
        return self.resting + self.moving


@dataclass(frozen=True)
class Phase:
    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


@dataclass(frozen=True)
class Forecast:
    """Bytes by phase, of a first run and of any later one with a new prompt and new pictures.

    `stay`: the components that are not let go between phases and runs; `streamed`: those whose blocks are read from the
    disk as they run.
    """

    phases: dict[str, Phase]
    later: dict[str, Phase] = field(default_factory=dict)
    stay: frozenset[str] = frozenset()
    streamed: frozenset[str] = frozenset()

    @property
    def peak(self) -> int:
        return max(phase.total for phase in (*self.phases.values(), *self.later.values()))


def machine(openblas: bool = False) -> Machine:
    """This computer. `openblas`: whether a fast BLAS is loaded, which decides what a CPU can do."""
    import psutil

    memory, metal = psutil.virtual_memory(), sys.platform == "darwin" and platform.machine() == "arm64"
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if card := find_card():
        return Machine(card.name, card.total, card.free, cores, False, None, cuda=True)
    total, chip = min(memory.total, _container_limit()), _chip()
    tflops = CHIPS.get(chip.removeprefix("Apple ")) if metal else cores * CORE_TFLOPS[openblas]
    return Machine(chip, total, min(memory.available, total), cores, metal, tflops)


def _container_limit() -> int:
    """The memory limit of a Linux container, or a very large number."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        return 2**63


@functools.cache
def _chip() -> str:
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, subprocess.SubprocessError, StopIteration):
        return platform.processor() or platform.machine()


def image_tokens(spec: ModelSpec, size: Size) -> int:
    """N = (width / m) (height / m), m the pixels a token covers on each side."""
    width, height = size
    return max(1, width // spec.size_multiple) * max(1, height // spec.size_multiple)


def reference_tokens(spec: ModelSpec, references: Sequence[Size]) -> int:
    """R = sum of min(width height, cap) / m^2; the cap is smaller where there are several references.

    Kontext squeezes one to a preferred size, and several share the pixels of one. Redux: one token per patch. Nothing
    where a picture lies beside the tokens of the output.
    """
    if spec.pictures != "tokens":
        return PATCHES * len(references) if spec.pictures == "features" else 0
    if spec.preferred_sizes:
        return spec.choose_preferred(Size(*references[0])).area // spec.size_multiple**2 if references else 0
    cap = spec.reference_pixels[0 if len(references) == 1 else 1]
    return sum(int(min(w * h, cap)) // spec.size_multiple**2 for w, h in references)


def weight_bytes(parameters: int, bits: int, number_bytes: int, finer: Finer | None = None) -> int:
    """Of packed weights with their scales and biases. From 16 bits on weights are held in the dtype of the run."""
    if bits >= 16:
        return parameters * max(number_bytes, bits // 8)
    finer = finer or Finer(0, 0)
    packed = lambda bits: (bits + SCALE_BITS * number_bytes) / 8  # noqa: E731
    steering = number_bytes if bits == 8 else packed(8)
    rest = parameters - sum(finer)
    return int(finer.dense * number_bytes + finer.steering * steering + finer.tables * packed(8) + rest * packed(bits))


def component_bytes(spec: ModelSpec, bits: int, number_bytes: int) -> dict[str, int]:
    """By component, as a plan of so many bits makes it; STEERING apart from its transformer."""
    found = {
        role: weight_bytes(count, bits if role in PACKED_ROLES else max(bits, 16), number_bytes, spec.finer.get(role))
        for role, count in spec.parameters.items()
    }
    if spec.steers_apart and found:
        count = spec.finer["transformer"].steering - (spec.blocks["transformer"].steering or 0)
        found[STEERING] = weight_bytes(count, bits, number_bytes, Finer(0, count))
        found["transformer"] -= found[STEERING]
    return found


def count_streamed(spec: ModelSpec, bits: int, number_bytes: int) -> dict[str, Streamed]:
    """By component, as a plan of so many bits makes it: what there is where blocks are read as they run."""
    found = {}
    for role, blocks in spec.blocks.items():
        finer = spec.finer[role]
        steering = finer.steering if blocks.steering is None else blocks.steering
        stays = Finer(finer.dense, steering)
        moving = weight_bytes(blocks.pair, bits, number_bytes, blocks.finer)
        found[role] = Streamed(weight_bytes(sum(stays), bits, number_bytes, stays), moving)
    return found


def forecast(
    spec: ModelSpec,
    size: Size | None = None,
    references: Sequence[Size] = (),
    bits: int = 16,
    tokens: int | None = None,
    weights: Mapping[str, int] | None = None,
    gpu: bool = False,
    usable: int = 0,
    streamed: Mapping[str, Streamed] | None = None,
) -> Forecast:
    """Peak memory of runs and their parts. `weights` (component -> bytes) replaces the estimate from `bits`; `usable`:
    what may be taken, so that more stays loaded where there is room (0: as little as can be); `streamed`: components
    whose blocks are read as they run.

    text:       encoders + T (8 h + 3 intermediate) b + its scores; later also the bank of the run before
    references: autoencoder and image encoders + maps at the largest reference; later also that bank
    steer:      STEERING alone, where a model has it
    denoise:    transformer + autoencoder + L (3 + 7 r) h b + the largest layer where it is packed + scores + bank
    decode:     transformer + autoencoder + maps at the output size + bank
    Scores are 2 H L^2 b on a CPU, where attention is not fused (checked against mlx 0.32.4: 0.8 to 1.1 of the peak
    measured), and nothing on a GPU. Maps: see `_maps`.
    """
    size, b = size or spec.size, 2 if gpu else 4
    held = dict(weights) if weights else component_bytes(spec, bits, b)
    bank = bank_bytes(spec, references, b)
    step = _step_activations(spec, size, references, tokens, b, gpu) + bank
    step += _count_layer(spec, b) if _is_packed(spec, held, b) else 0
    work = {"text": _text_activations(spec, tokens or spec.usual_tokens, b, gpu)}
    if references:
        largest = max(width * height for width, height in references)
        cap = spec.reference_pixels[0 if len(references) == 1 else 1]
        work["references"] = _maps(spec, int(min(largest, cap)), b)
    if STEERING in held and "transformer" in (streamed or {}):
        held["transformer"] += held.pop(STEERING)
    work |= {"steer": 0} if STEERING in held else {}
    work |= {"denoise": step, "decode": _maps(spec, size[0] * size[1], b) + bank}
    return _choose_stay(Held(held, streamed or {}), work, bank, usable)


ALWAYS = frozenset(("autoencoder", "tiny_autoencoder"))  # small, and every run needs them twice
STEERING = "steering"  # of a transformer whose blocks steer themselves, what does: no component of its own on the disk
NEEDS = {
    "steer": (STEERING,),
    "text": TEXT_ROLES,
    "references": ("autoencoder", *PICTURE_ROLES),
    "denoise": ("transformer", "autoencoder"),
    "decode": ("transformer", "autoencoder"),
}
WORKS = {"text": ("text_encoder",), "denoise": ("transformer",)}  # of those whose blocks can be read as they run


class Held(NamedTuple):
    """Bytes of the components, and what those take instead whose blocks are read as they run."""

    whole: Mapping[str, int]
    streamed: Mapping[str, Streamed]

    def add_up(self, there: frozenset[str], phase: str) -> int:
        """Of the components that are loaded in a phase. Blocks move only where they work."""
        held = dict(self.whole) | {role: parts.resting for role, parts in self.streamed.items()}
        moving = (self.streamed[role].moving for role in WORKS.get(phase, ()) if role in self.streamed)
        return sum(held.get(role, 0) for role in there) + sum(moving)


def _choose_stay(held: Held, work: Mapping[str, int], bank: int, usable: int) -> Forecast:
    """All stays where it fits twice over; the transformer where it fits beside the encoders; else as little as can be.

    `work`: bytes beside the weights by phase, `bank` among it where references are banked.
    """
    twice = not held.streamed and sum(held.whole.values()) + max(work.values()) <= usable / 2
    later = {name: count + (bank if name in ("text", "references") else 0) for name, count in work.items()}
    for stay in (*([frozenset(held.whole) | ALWAYS] if twice else []), ALWAYS | {"transformer"}, ALWAYS):
        phases = _add_weights(held, work, stay), _add_weights(held, later, stay, stay)
        needed = Forecast(*phases, stay, frozenset(held.streamed))
        if needed.peak <= usable:
            break
    return needed


def _add_weights(
    held: Held, work: Mapping[str, int], stay: frozenset[str], there: frozenset[str] = frozenset()
) -> dict[str, Phase]:
    """What is loaded in each phase, `there` before the first."""
    phases = {}
    for name, activations in work.items():
        there |= frozenset(NEEDS[name])
        phases[name] = Phase(held.add_up(there, name), activations)
        there &= stay
    return phases


def bank_bytes(spec: ModelSpec, references: Sequence[Size], b: int) -> int:
    """K and V of all reference tokens in all blocks, for the models that keep them."""
    tokens = reference_tokens(spec, references) if spec.reference_bank else 0
    return 2 * tokens * shape_of(spec)[0] * blocks_of(spec) * b


def _scores(heads: int, rows: int, keys: int, b: int, gpu: bool) -> int:
    return 0 if gpu else 2 * heads * rows * keys * b


def _text_activations(spec: ModelSpec, tokens: int, b: int, gpu: bool) -> int:
    text = spec.text
    if not text:
        return 0
    width, inner = _of(text, "hidden_size", "d_model"), _of(text, "intermediate_size", "d_ff")
    heads = _of(text, "num_attention_heads", "num_heads")
    return tokens * (8 * width + 3 * inner) * b + _scores(heads, tokens, tokens, b, gpu)


def _of(params: Mapping[str, Any], *names: str) -> int:
    """One size by whichever name a family has for it."""
    return next((params[name] for name in names if name in params), 0)


def _step_activations(
    spec: ModelSpec, size: Size, references: Sequence[Size], tokens: int | None, b: int, gpu: bool
) -> int:
    """L (3 + 7 r) h b, 24 h a token at r = 3: the stream, the widest layer's output, q, k, v twice.

    Banked references are computed alone, before the first step.
    """
    h, ratio, heads = shape_of(spec)
    rows = (tokens or spec.usual_tokens) + image_tokens(spec, size)
    extra = reference_tokens(spec, references)
    length = max(rows, extra) if spec.reference_bank else rows + extra
    return int(length * (3 + 7 * ratio) * h * b) + _scores(heads, length, rows + extra, b, gpu)


def _count_layer(spec: ModelSpec, b: int) -> int:
    """Of the largest layer, unpacked."""
    h, ratio, _ = shape_of(spec)
    return int((3 + 2 * ratio) * h * h * b)


def _is_packed(spec: ModelSpec, held: Mapping[str, int], b: int) -> bool:
    """Whether the transformer takes fewer bytes than the least that its blocks and what steers them have unpacked."""
    h, ratio, _ = shape_of(spec)
    least = blocks_of(spec) * (4 + spec.mlp_matrices * ratio) * h * h
    least += spec.finer.get("transformer", Finer(0, 0)).steering
    return held.get("transformer", 0) + held.get(STEERING, 0) < least * b


def shape_of(spec: ModelSpec) -> tuple[int, float, int]:
    """h, r and H of the transformer."""
    t = spec.transformer
    return t.get("hidden_size", 0), t.get("mlp_ratio", 3.0), t.get("num_heads", 0)


def blocks_of(spec: ModelSpec) -> int:
    """How many blocks the transformer has."""
    return int(spec.transformer.get("depth", 0) + spec.transformer.get("depth_single_blocks", 0))


def _maps(spec: ModelSpec, pixels: int, b: int) -> int:
    """Numbers of the autoencoder's maps at full resolution, c a pixel, c its narrowest width, and of its strips.

    A block's input has 2 c, its inner map and its result c each, and one is written while another is there; 5 c and 12
    strips are within 4 % of what mlx 0.32.4 took on a CPU at 256, 384 and 512 px. Where the outer layers see p x p
    pixels as channels, full resolution is p times smaller. On a GPU: the same in half precision,
    1.5 GB at 1024 x 1024; published strip decodes took 1.6 GB with their weights.
    """
    width: int = spec.autoencoder.get("decoder_ch") or spec.autoencoder.get("ch", 128)
    maps: int = pixels // spec.autoencoder.get("pixel_patch", 1) ** 2 * width
    return min(MAPS * maps + STRIPS, WHOLE_MAPS * maps) * b


def fits(needed: Forecast, here: Machine) -> bool:
    """Whether the peak stays below what this machine can give to one program."""
    return needed.peak <= here.usable


def say_bytes(count: float) -> str:
    """Bytes as Finder shows them, in units of 1000: such as 7.8 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}" if count < 100 * factor else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} bytes"


def gib(count: int) -> str:
    """Such as 12.3 GB, in units of 2^30 bytes, as memory is sold; small amounts in MB."""
    return f"{count / GIB:.1f} GB" if count >= 0.05 * GIB else f"{math.ceil(count / 2**20)} MB"
