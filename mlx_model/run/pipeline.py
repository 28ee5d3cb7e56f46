"""From a Request to a picture: Pipeline.open(folder), then run(request) -> events.

Text, references, denoise, decode; whatever a former run already computed is kept. What differs by family is in the
module run/<family>.py, found by name like the transformer; it has plain functions that get the pipeline:

    encode_text(pipe, prompt)              features of one prompt (or class label): an array or a tuple of arrays
    encode_references(pipe, request)       a generator that yields Notes and returns what `velocity` takes
    schedule(pipe, request, tokens)        times from 1 to 0
    velocity(pipe, request, grid, texts, references, times)   a function of (latents, step)
    solver(pipe, request, shape)           only where it is not Euler: makes one step, see sampler.Solver

Axis letters: N image tokens, C latent channels of a token.
"""

import time
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import cached_property, partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from ..errors import LayoutError, RequestError, tell_device
from ..events import Done, Event, Loaded, Note, Stage, Step
from ..fitting import expect
from ..geometry import Grid, Size
from ..memory import STEERING
from ..nets import autoencoder
from ..request import Reference, Request, check, demand
from ..store.cache import Cache, name_entry
from ..store.counting import count_adapters, count_step_cache, steers
from ..store.folder import Folder, open_folder
from ..store.weights import build, check_components, default_dtype, open_component, open_part
from . import noise
from .pictures import centre, first_picture, fit_colours, map_colours, resize_and_crop, to_signed
from .references import Kept, fingerprint
from .sampler import denoise, euler, start_step
from .tokenize import PromptTokenizer, say_left_out

if TYPE_CHECKING:
    from ..store.lora import Gathered
    from .latents import Placed
    from .previews import Costs, DrawBeside, Previews
    from .step_cache import StepCache

ENCODERS = ("text_encoder", "pooled_encoder", "image_encoder", "image_embedder")
SEEING = ("autoencoder", "image_encoder", "image_embedder")
FULL, PART = 0.25, 0.02  # what a preview is taken to cost before one was made, in steps: decoded in full, or not
AHEAD = 64  # runs whose prompts are encoded with the first's


class Pipeline:
    """One converted folder, opened. Load and run on the same thread: lazy MLX arrays are bound to theirs."""

    def __init__(self, folder: Folder, dtype: str | None = None):
        self.folder, self.spec = folder, folder.spec
        self.dtype = dtype or default_dtype()
        if self.dtype not in self.spec.dtypes:
            words = f"{self.spec.title} can't be run with the dtype {self.dtype!r}."
            raise RequestError(words, f"Choose one of {', '.join(self.spec.dtypes)}.")
        self.family = import_module(f"mlx_model.run.{self.spec.family}")
        self.cache: Cache | None = None  # on the disk; None: nothing outlives this pipeline
        self.prompts, self.encoded, self.banks = (
            Kept(shelf=partial(self._find_shelf, roles)) for roles in (ENCODERS[:2], SEEING, ("transformer", *SEEING))
        )
        self.stay = frozenset(folder.components)  # what is not let go: as fitting.expect says of each run
        self.low_memory = False  # whether all that can be is read from the disk as it runs
        self.between: Callable[[], None] = lambda: None  # is called after each block of these; raising ends the run
        self.streamed: frozenset[str] = frozenset()  # what is, as fitting.expect says
        self.group: mx.distributed.Group | None = None  # of processes that share the transformer's blocks
        self.steering = Kept(2**28)  # of blocks that steer themselves, by prompt and times
        self.whole = not self.spec.steers_apart  # whether the transformer is one; else what steers it is apart
        self.adapted: tuple | None = ()  # lora.stamp of the adapters on the networks
        self.adapters: dict[str, Gathered] = {}  # by role: a network gets its own when it is loaded
        self._loaded: dict[str, Any] = {}
        self.given_noise: np.ndarray | None = None  # (N, C) in place of what the seed gives
        self.draw_beside: DrawBeside | None = None  # draws previews where MLX doesn't have to
        self.preview_costs: Costs = {}
        self.step_cache: StepCache | None = None  # of the run, where it has one
        self.region: np.ndarray | None = None  # numbers of the picture's tokens that the run computes; None: of all

    @classmethod
    def open(cls, path: Path, dtype: str | None = None) -> "Pipeline":
        """Open a converted folder strictly. Raises ModelError and its kinds."""
        folder = open_folder(Path(path))
        check_components(folder)
        return cls(folder, dtype)

    def component(self, role: str) -> Any:
        """The network of a role, loaded when first asked for. Raises LayoutError."""
        if role not in self._loaded:
            if role in (*ENCODERS, STEERING):
                self.unload(*(other for other in self._loaded if other not in (*self.stay, *ENCODERS)))
            self._loaded[role] = self._open(role)
            if self.adapters:
                self._attach(role)
        return self._loaded[role]

    @property
    def steers_apart(self) -> bool:
        """Whether what steers the transformer's blocks is apart from it."""
        return not self.whole and "transformer" not in self.streamed and self.group is None

    def _open(self, role: str) -> Any:
        given = self.folder, role, getattr(mx, self.dtype)
        if role in self.streamed:
            from ..store.streamed import open_streamed  # what few machines have no room for whole

            return open_streamed(*given, lambda: self.between())
        if self.group is not None and role == "transformer":
            from ..store.shared import open_shared  # what a single machine has no room for

            return open_shared(*given, self.group)
        return open_part(*given) if self.steers_apart else open_component(*given)

    def _attach(self, role: str) -> None:
        from ..store import lora

        every = self.adapters.get("transformer" if role == STEERING else role, {})
        found = {n: one for n, one in every.items() if not self.steers_apart or steers(n) == (role == STEERING)}
        if found or role in (*self.adapters, STEERING):
            lora.attach(self._loaded[role], found)

    @property
    def transformer(self) -> Any:
        return self.component("transformer")

    @property
    def autoencoder(self) -> autoencoder.AutoEncoder:
        network: autoencoder.AutoEncoder = self.component("autoencoder")
        return network

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        return PromptTokenizer(self.folder.tokenizer_path, self.spec.template, self.spec.max_tokens)

    @cached_property
    def pooled_tokenizer(self) -> PromptTokenizer:
        length = self.folder.components["pooled_encoder"].params["max_position_embeddings"]
        return PromptTokenizer(self.folder.pooled_tokenizer_path, "clip", length)

    @cached_property
    def channels(self) -> int:
        """C: a token is 2 x 2 latents in every family."""
        return 4 * autoencoder.Params(**self.folder.components["autoencoder"].params).z_channels

    def _find_shelf(self, roles: tuple[str, ...], key: Hashable) -> tuple[Cache, str] | None:
        """What those components made of `key` on the disk. A class has no words: it is the transformer's own."""
        if self.cache is None or (roles == ENCODERS[:2] and not self.spec.takes_text):
            return None
        return self.cache, name_entry(self.folder, roles, self.dtype, key)

    def picture_latents(self, pixels: np.ndarray, resized: Size, cropped: Size) -> mx.array:
        """(H, W, 3) uint8, as resize_and_crop brings it to a size -> (1, N, C), kept across runs."""
        return self.encode_pixels(resize_and_crop(pixels, resized, cropped))

    def encode_pixels(self, pixels: np.ndarray) -> mx.array:
        """(H, W, 3) uint8 -> (1, N, C), kept across runs."""

        def make() -> mx.array:
            latents = self.autoencoder.encode(to_signed(pixels[None]))
            return latents.reshape(1, -1, latents.shape[-1])

        latents: mx.array = self.encoded.get(fingerprint(pixels), make)
        return latents

    def note_size(self, reference: Reference, size: Size) -> Note:
        """That a picture is not used at its own size."""
        name = reference.name or "A picture"
        own = Size.of(demand(reference.pixels))
        return Note(f"{name}: {own}, used at {size} by {self.spec.called}.")

    def grid(self, request: Request) -> Grid:
        """Rows and columns of tokens that a picture of the request's size needs."""
        return request.size.grid(self.spec.size_multiple)

    def place(self, request: Request) -> "Placed":
        """The picture that is changed, and its mask, on the canvas of the token grid."""
        from .latents import place  # few runs have a mask

        rows, columns = self.grid(request)
        return place(request, Size(columns * self.spec.size_multiple, rows * self.spec.size_multiple))

    # one run

    def run(
        self, request: Request, previews: float = 0, ahead: Callable[[], Iterable[Request]] = tuple
    ) -> Generator[Event, None, None]:
        """Yields Loaded, Stage, Note, Step, Preview and at last Done; closing the generator cancels within a step.

        `previews` is how much time they may take of the steps': 0 none, inf one after every step.
        `ahead` gives runs that come later: their prompts are encoded while the encoder is loaded, if it can't stay.
        `request.references` must carry pixels. Raises RequestError, ModelError or SampleError.
        """
        began = time.perf_counter()
        request = check(request, self.spec)
        grid = self.grid(request)
        yield from self._look_ahead(request)
        yield from self._adapt(request)
        yield Stage("text")
        if self.spec.takes_text and (left := self.tokenizer.words_left_out(request.prompt)):
            yield Note(say_left_out(left, self.spec.called))
        try:
            texts = self._texts(request, ahead)
            yield Loaded(self.spec.name, time.perf_counter() - began)
            if request.references:
                yield Stage("references", total=len(request.references))
            references = yield from self.family.encode_references(self, request)
            self._let_encoders_go()
            latents = yield from self._denoise(request, grid, texts, references, previews)
            yield Stage("decode")
            pixels = self._decode(latents, grid)
        except RuntimeError as error:  # what MLX raises when the device refuses an allocation
            raise (tell_device(str(error)) or error) from error
        except LayoutError:  # of a file that changed while it was read: the next run opens it anew
            self.unload(*self.streamed)
            raise
        pixels = self._finish(request, pixels)
        seconds = time.perf_counter() - began
        yield Done(seconds, seed=request.seed, pixels=pixels, latents=np.array(latents[0]))

    def _adapt(self, request: Request) -> Iterator[Note]:
        """Put the request's LoRAs, and no others, on the networks; what is left out of them is told.

        They are read before any weights, so that a wrong file costs no loading. Raises RequestError, LayoutError.
        """
        if not request.loras and self.adapted == ():  # as in most runs, which need not even load what reads LoRAs
            return
        from ..store import lora, lora_files

        stamp = lora.stamp(request.loras)
        if stamp == self.adapted:
            return
        parts = {role: part for role, part in self.folder.components.items() if role in lora_files.ADAPTED}
        networks = {r: lora.describe(build(r, one.family, one.params), one.family) for r, one in parts.items()}
        notes: list[str] = []
        adapters = lora.gather(networks, request.loras, notes)
        self.adapted, self.adapters = None, adapters  # None: should attaching fail halfway
        for role in self._loaded:
            self._attach(role)
        self.adapted = stamp
        yield from map(Note, notes)

    def _look_ahead(self, request: Request) -> Iterator[Note]:
        """What this run leaves loaded, how much banks may take, and what is read from the disk, which is told."""
        number_bytes = getattr(mx, self.dtype).size
        sizes = [Size.of(demand(reference.pixels)) for reference in request.references]
        beside = count_adapters(self.folder, request.loras, number_bytes)
        beside += count_step_cache(self.spec, request.size, request.step_cache, number_bytes)
        given = self.low_memory, request.reference_size, beside, self.group.size() if self.group else 1
        needed, self.banks.limit = expect(self.folder, request.size, sizes, number_bytes, *given)
        self.stay = needed.stay
        if needed.streamed != self.streamed:
            self.unload(*(needed.streamed ^ self.streamed), STEERING)
            self.streamed = needed.streamed
            if self.streamed:
                why = "To need less memory" if self.low_memory else "As it doesn't fit this machine's memory whole"
                yield Note(f"{why}, {self.spec.called} is read from the disk block by block while it runs.")

    def _texts(self, request: Request, ahead: Callable[[], Iterable[Request]]) -> list[Any]:
        """Features of the prompt or class, and of what guidance leads away from, where there is guidance."""
        texts = [self._features(words) for words in self._words(request)]
        if any(role in self._loaded and role not in self.stay for role in ENCODERS):
            for other in islice(ahead(), AHEAD):
                for words in self._words(other) if other.loras == request.loras else ():
                    self._features(words)
        self._let_encoders_go()
        return texts

    def _words(self, request: Request) -> list[Any]:
        """What is encoded for a run."""
        wanted: list[Any] = [request.prompt, request.negative] if self.spec.takes_text else [request.label, None]
        guided = self.spec.guidance_kind == "cfg" and request.guidance != 1
        return wanted if guided else wanted[:1]

    def _features(self, words: Any) -> Any:
        adapted = self.adapted if any(found for role, found in self.adapters.items() if role in ENCODERS) else ()
        return self.prompts.get((words, adapted), partial(self.family.encode_text, self, words))

    def _let_encoders_go(self) -> None:
        if encoders := [role for role in self._loaded if role in ENCODERS and role not in self.stay]:
            self.unload(*encoders)

    def unload(self, *roles: str) -> None:
        """Let networks go that are not needed for a while."""
        for role in roles:
            network = self._loaded.pop(role, None)
            if network is not None and role in self.streamed:
                from ..store.streamed import close

                close(network)
        mx.clear_cache()

    def _denoise(
        self, request: Request, grid: Grid, texts: list[Any], references: Any, previews: float
    ) -> Generator[Event, None, mx.array]:
        """Yields Stage, Step and Preview; returns the final latents (1, N, C)."""
        tokens = grid[0] * grid[1]
        times = self.family.schedule(self, request, tokens)
        start = start_step(len(times) - 1, request.strength)
        source_noise = self._noise(request, tokens)
        latents, repaint = source_noise, None
        if request.repaints or request.strength is not None:
            placed = self.place(request)
            source = self.encode_pixels(placed.pixels)
            if request.repaints and self.spec.pictures != "erased":  # there the transformer itself sees the mask
                from .masked import keep_rest

                repaint = keep_rest(placed.mask, source, source_noise, self.spec.size_multiple // 2)
            if request.strength is not None:
                t = float(times[start])  # a numpy number would turn the product into a numpy array
                latents = (1 - t) * source + t * source_noise
        self.step_cache = None
        if request.step_cache is not None:
            from .step_cache import StepCache  # few runs have one

            self.step_cache = StepCache(request.step_cache)
        self.region = None
        if request.region:
            from .masked import find_region, limit, tell_region

            self.region = find_region(self.place(request).mask, self.spec.size_multiple)
            yield tell_region(self.region, tokens)
        velocity = self.family.velocity(self, request, grid, texts, references, times)
        if self.region is not None:
            velocity = limit(velocity, self.region)
        own = getattr(self.family, "solver", None)
        solver = own(self, request, latents.shape) if own else euler
        total = len(times) - 1 - start
        yield Stage("denoise", total=total)
        began = time.perf_counter()
        with self._draw_previews(request, previews) as shown:
            for progress in denoise(velocity, latents, times, start, repaint, solver):
                done = progress.step - start + 1
                spent = time.perf_counter() - began
                yield Step(done, total, round(spent, 3), round(spent / done * (total - done), 3))
                if shown and done < total:
                    yield from shown.after(done, progress.clean.reshape(1, *grid, -1), total)
        if "transformer" in self.streamed:
            from ..store.streamed import rest

            rest(self.transformer)
        if self.step_cache:
            yield self.step_cache.tell()
        return progress.latents

    def choose(self, ids: np.ndarray) -> np.ndarray:
        """Of position ids (N, axes) those of the tokens that the run computes."""
        return ids if self.region is None else ids[self.region]

    def _draw_previews(self, request: Request, share: float) -> "AbstractContextManager[Previews | None]":
        if not share:
            return nullcontext()
        from .previews import Previews  # the command line mostly has none

        guess = FULL if self.spec.cheap_decode else PART
        finish = partial(self._finish, request)
        return closing(Previews(share, self.show, finish, self.draw_beside, self.preview_costs, guess))

    def _finish(self, request: Request, pixels: np.ndarray) -> np.ndarray:
        """What is asked for of the canvas, with the rest of the picture as it was."""
        pixels = centre(pixels, request.size)
        if not request.repaints:
            return pixels
        from .latents import composite

        return composite(request, pixels)

    def show(self, clean: mx.array) -> np.ndarray:
        """(1, h, w, 4z) -> uint8 picture, as well as costs little beside a step."""
        if self.spec.cheap_decode:
            return first_picture(self.autoencoder.decode(clean))
        if "tiny_autoencoder" in self.folder.components:
            return first_picture(self.component("tiny_autoencoder").decode(clean))
        side = self.spec.size_multiple
        return map_colours(clean, self.colours, Size(clean.shape[2] * side, clean.shape[1] * side))

    @property
    def colours(self) -> mx.array:
        """How latents look, roughly: see pictures.fit_colours."""
        patch = self.spec.autoencoder.get("pixel_patch", 1)
        colours: mx.array = self.encoded.get("colours", lambda: fit_colours(self.autoencoder, patch))
        return colours

    def _noise(self, request: Request, tokens: int) -> mx.array:
        channels = self.channels
        if self.given_noise is not None:
            return mx.array(self.given_noise)[None]
        if request.noise is not None:
            return noise.load(request.noise, (tokens, channels))[None]
        return mx.array(noise.normal(request.seed, (tokens, channels)))[None]

    def _decode(self, latents: mx.array, grid: Grid) -> np.ndarray:
        """(1, N, C) -> (H, W, 3) uint8."""
        return first_picture(self.autoencoder.decode(latents.reshape(1, *grid, -1)))
