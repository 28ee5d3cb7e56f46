"""From a Request to a picture: Pipeline.open(folder), then run(request) -> events.

Encode the text, encode the references, denoise, decode; whatever a former run already computed is kept. Axis letters:
N image tokens, R reference tokens, C latent channels.
"""

import dataclasses
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from . import autoencoder, lora, noise
from .errors import OutOfMemory, RequestError
from .events import Done, Event, Loaded, Note, Preview, Stage, Step
from .folder import Folder, open_folder
from .latents import grid_ids, reference_ids, reference_size, text_ids
from .memory import keeps_encoder
from .ops import timestep_features
from .pictures import resize_and_crop, resize_mask, to_pixels, to_signed
from .references import Kept, fingerprint
from .request import Reference, Request, check
from .sampler import Repaint, denoise, empirical_mu, start_step, timesteps
from .tokenize import PromptTokenizer
from .weights import build, open_component

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
Encoded = tuple[mx.array, tuple[int, int]]  # (1, R, C) latents of one reference and its grid (rows, columns)


def default_dtype() -> str:
    """bfloat16 on Apple GPUs; float32 on a CPU, where bfloat16 is slower and accumulates its own rounding."""
    return "bfloat16" if mx.metal.is_available() else "float32"


class Pipeline:
    """One converted folder, opened. Load and run on the same thread: lazy MLX arrays are bound to theirs."""

    def __init__(self, folder: Folder, dtype: str | None = None):
        self.folder, self.spec = folder, folder.spec
        self.dtype = dtype or default_dtype()
        if self.dtype not in DTYPES:
            raise RequestError(f"There is no dtype {self.dtype!r}.", f"Choose one of {', '.join(DTYPES)}.")
        self.prompts, self.encoded, self.banks = Kept(), Kept(), Kept()
        self._encoder: Any = None
        self._adapted: tuple | None = ()  # lora.stamp of the adapters on the transformer

    @classmethod
    def open(cls, path: Path, dtype: str | None = None) -> "Pipeline":
        """Open a converted folder strictly. Raises ModelError and its kinds."""
        return cls(open_folder(Path(path)), dtype)

    # components, each loaded when first needed

    def _component(self, role: str):
        return open_component(self.folder, role, DTYPES[self.dtype])

    @cached_property
    def transformer(self):
        return self._component("transformer")

    @cached_property
    def autoencoder(self) -> autoencoder.AutoEncoder:
        return self._component("autoencoder")

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        return PromptTokenizer(self.folder.tokenizer_path, self.spec.template, self.spec.max_tokens)

    @property
    def encoder(self):
        if self._encoder is None:
            self._encoder = self._component("text_encoder")
        return self._encoder

    # one run

    def run(self, request: Request, previews: bool = False) -> Iterator[Event]:
        """Yields Loaded, Stage, Note, Step, Preview and at last Done; closing the generator cancels within a step.

        `request.references` must carry pixels. Raises RequestError, ModelError or SampleError.
        """
        began = time.perf_counter()
        request = check(request, self.spec)
        grid = (request.height // self.spec.size_multiple, request.width // self.spec.size_multiple)
        adapters = self._adapters(request)
        yield Stage("text")
        texts = self._texts(request)
        self._adapt(adapters)
        yield Loaded(self.spec.name, time.perf_counter() - began)
        if request.references:
            yield Stage("references", total=len(request.references))
        references = []
        for reference in request.references:
            encoded, note = self._encode(reference, len(request.references))
            references.append(encoded)
            if note:
                yield Note(note)
        try:
            latents = yield from self._denoise(request, grid, texts, references, previews)
            yield Stage("decode")
            pixels = self._decode(latents, grid)
        except RuntimeError as error:  # what MLX raises when the device refuses an allocation
            raise _run_failed(error) from error
        pixels = _composite(request, pixels)
        seconds = time.perf_counter() - began
        yield Done(seconds, seed=request.seed, pixels=pixels, latents=np.array(latents[0]))

    def _adapters(self, request: Request) -> tuple[tuple, lora.Gathered] | None:
        """The request's LoRAs and their stamp, read before any weights, so that a wrong file costs no loading.

        None: they are on the transformer already.
        """
        stamp = lora.stamp(request.loras)
        if stamp == self._adapted:
            return None
        part = self.folder.components["transformer"]
        sizes = lora.layer_sizes(build("transformer", part.family, part.params))
        return stamp, lora.gather(part.family, sizes, request.loras)

    def _adapt(self, adapters: tuple[tuple, lora.Gathered] | None) -> None:
        if adapters is not None:
            self._adapted = None  # should attaching fail halfway
            lora.attach(self.transformer, adapters[1])
            self._adapted = adapters[0]

    def _texts(self, request: Request) -> list[mx.array]:
        """(1, T, width) features of the prompt, and of the negative prompt where guidance needs it."""
        prompts = [request.prompt]
        if self._guided(request):
            prompts.append(request.negative)
        features = [
            self.prompts.get(text, lambda text=text: self._encode_text(text), lambda x: x.nbytes) for text in prompts
        ]
        if self._encoder is not None and not keeps_encoder(self.folder):
            self._encoder = None
            mx.clear_cache()
        return features

    def _guided(self, request: Request) -> bool:
        return self.spec.guidance_kind == "cfg" and request.guidance != 1

    def _encode_text(self, prompt: str) -> mx.array:
        ids, real = self.tokenizer(prompt)
        features = self.encoder(mx.array(ids), mx.array(real))
        mx.eval(features)
        return features

    def _encode(self, reference: Reference, count: int) -> tuple[Encoded, str]:
        """Latents of one reference at the reference implementation's size, and a note where that is not its own."""
        height, width = reference.pixels.shape[:2]
        cap = self.spec.reference_pixels[0 if count == 1 else 1]
        size = reference_size(width, height, cap, self.spec.size_multiple)
        key = (fingerprint(reference.pixels), size)
        make = lambda: self._encode_pixels(resize_and_crop(reference.pixels, size[:2], size[2:]))  # noqa: E731
        latents = self.encoded.get(key, make, lambda x: x.nbytes)
        grid = (size[3] // self.spec.size_multiple, size[2] // self.spec.size_multiple)
        name = reference.name or Path(reference.path).name or "A reference"
        changed = size[2:] != (width, height)
        note = f"{name}: {width}x{height} is used at {size[2]}x{size[3]}, as {self.spec.title} does." if changed else ""
        return (latents, grid), note

    def _encode_pixels(self, pixels: np.ndarray) -> mx.array:
        latents = self.autoencoder.encode(to_signed(pixels[None]))
        latents = latents.reshape(1, -1, latents.shape[-1])
        mx.eval(latents)
        return latents

    def _denoise(self, request: Request, grid, texts, references: list[Encoded], previews: bool):
        """Yields Stage, Step and Preview; returns the final latents (1, N, C)."""
        tokens = grid[0] * grid[1]
        mu = empirical_mu(tokens, request.steps) if self.spec.mu is None else self.spec.mu
        times = timesteps(request.steps, mu)
        start = start_step(request.steps, request.strength)
        source_noise = self._noise(request, tokens)
        source = self._source(request, grid)
        repaint = self._repaint(request, source, source_noise, grid)
        latents = source_noise
        if source is not None and request.strength is not None:
            t = float(times[start])  # a numpy number would turn the product into a numpy array
            latents = (1 - t) * source + t * source_noise
        velocity = self._velocity(request, grid, texts, references, times)
        total = request.steps - start
        yield Stage("denoise", total=total)
        began = time.perf_counter()
        for progress in denoise(velocity, latents, times, start, repaint):
            done = progress.index - start + 1
            spent = time.perf_counter() - began
            yield Step(done, total, round(spent, 3), round(spent / done * (total - done), 3))
            if previews and done < total:
                yield Preview(done, pixels=self._decode(progress.clean, grid))
        return progress.latents

    def _noise(self, request: Request, tokens: int) -> mx.array:
        channels = self.transformer.params.in_channels
        if request.noise is None:
            return mx.array(noise.normal(request.seed, (tokens, channels)))[None]
        try:
            given = mx.load(request.noise)["noise"].astype(mx.float32)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise RequestError(
                f"{request.noise} holds no tensor `noise`: {error}.", "Give a .safetensors file."
            ) from error
        if given.shape != (tokens, channels):
            raise RequestError(
                f"The noise in {request.noise} is {given.shape}, this picture needs {(tokens, channels)}.",
                "Make it for this model and size.",
            )
        return given[None]

    def _source(self, request: Request, grid) -> mx.array | None:
        """Latents of the first picture at the output's size, where strength or a mask starts from it."""
        if request.mask is None and request.strength is None:
            return None
        pixels = resize_and_crop(*_cover(request.references[0].pixels, request.width, request.height))
        return self._encode_pixels(pixels)

    def _repaint(self, request: Request, source, source_noise, grid) -> Repaint | None:
        if request.mask is None:
            return None
        mask = resize_mask(request.mask.pixels, (grid[1], grid[0]))
        return Repaint(source, source_noise, mx.array(mask.reshape(1, -1, 1)))

    def _velocity(self, request: Request, grid, texts, references: list[Encoded], times):
        """The guided velocity as a function of (latents, step); all that is the same in every step is prepared here."""
        model = self.transformer
        grids = [size for _, size in references]
        joined = mx.concatenate([latents for latents, _ in references], axis=1) if references else None
        ids = [text_ids(texts[0].shape[1]), grid_ids(grid)]
        bank = None
        if joined is not None and self.spec.reference_bank:
            bank, joined = self._bank(request, joined, grids), None
        elif joined is not None:
            ids.append(reference_ids(grids))
        rope = model.rope(np.concatenate(ids))
        joined = None if joined is None else joined.astype(model.dtype)
        conditions = [model.condition(text.astype(model.dtype), rope, joined, bank) for text in texts]
        time_features = timestep_features(times[:-1])
        guidance = timestep_features([request.guidance]) if model.params.guidance_embed else None

        def velocity(latents: mx.array, i: int) -> mx.array:
            outputs = [model(latents, time_features[i : i + 1], condition, guidance) for condition in conditions]
            if len(outputs) == 1:
                return outputs[0]
            return outputs[1] + request.guidance * (outputs[0] - outputs[1])

        return velocity

    def _bank(self, request: Request, joined: mx.array, grids):
        key = tuple(fingerprint(reference.pixels) for reference in request.references), tuple(grids), self._adapted

        def make():
            bank = self.transformer.reference_bank(joined, self.transformer.rope(reference_ids(grids)))
            mx.eval(bank)
            return bank

        return self.banks.get(key, make, lambda bank: sum(k.nbytes + v.nbytes for k, v in bank))

    def _decode(self, latents: mx.array, grid) -> np.ndarray:
        """(1, N, C) -> (H, W, 3) uint8."""
        return to_pixels(self.autoencoder.decode(latents.reshape(1, *grid, -1)))[0]


def _cover(pixels: np.ndarray, width: int, height: int):
    """Arguments of resize_and_crop that make `pixels` cover width x height."""
    rows, columns = pixels.shape[:2]
    factor = max(width / columns, height / rows)
    resized = (max(width, round(columns * factor)), max(height, round(rows * factor)))
    return pixels, resized, (width, height)


def _composite(request: Request, pixels: np.ndarray) -> np.ndarray:
    """Outside a mask the result is the source itself, to the pixel; a soft edge mixes."""
    if request.mask is None:
        return pixels
    mask = resize_mask(request.mask.pixels, (request.width, request.height))[..., None]
    source = resize_and_crop(*_cover(request.references[0].pixels, request.width, request.height))
    return np.round(source * (1 - mask) + pixels * mask).astype(np.uint8)


def _run_failed(error: RuntimeError) -> Exception:
    text = str(error)
    if "alloc" in text.lower() or "memory" in text.lower():
        return OutOfMemory(
            f"The machine ran out of memory: {text}", "Use a smaller size, fewer references or a model at fewer bits."
        )
    return error


def with_seed(request: Request, offset: int) -> Request:
    """The same request with the seed `offset` further on, for several pictures of one request."""
    return dataclasses.replace(request, seed=(request.seed + offset) % 2**64)
