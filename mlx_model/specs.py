"""SPECS: one frozen row per model, the only place with model facts. Adding a variant of a known family is one row.

Imports nothing heavy: the window and `--help` read it. What rows share is in spec_parts.py.
Sources: the model cards, black-forest-labs/flux src/flux/util.py and flux2 src/flux2/util.py. Where they differ, the
makers' own page is followed: FLUX.3 base's guidance is 4 there, and 3.5 in diffusers and mflux.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from . import spec_parts as parts
from .geometry import Size, reference_canvas
from .spec_parts import MEGAPIXEL, Blocks, Download, Finer, Licence

if TYPE_CHECKING:
    import numpy as np

PACKED_ROLES = ("transformer", "text_encoder")  # the rest is small or shows every error: 16 bits in every plan
OPTIONAL = {"tiny_autoencoder": "tiny_autoencoder"}  # components that a folder may have: role -> module


@dataclass(frozen=True)
class ModelSpec:
    name: str
    family: str  # the module in mlx_model with the transformer
    title: str
    licence: Licence
    repo: str | None  # on Hugging Face; None: ships with the app
    transformer: dict[str, Any]  # the Params of the family's transformer
    text: dict[str, Any] = field(default_factory=dict)  # the Params of the text encoder
    text_family: str = ""
    template: str = ""  # the name of the prompt template in tokenize.py
    extras: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=dict
    )  # further encoders: role: module, Params
    autoencoder: dict[str, Any] = field(default_factory=dict)
    gated: bool = False
    parameters: dict[str, int] = field(default_factory=dict)  # component -> number of weights that are kept
    finer: dict[str, Finer] = field(default_factory=dict)  # by component, what no plan packs like the rest
    blocks: dict[str, Blocks] = field(default_factory=dict)  # by component, where its blocks can be read as it runs
    download_bytes: int = 0
    files: tuple[str, ...] = ()  # patterns to download
    further: tuple[Download, ...] = ()  # what the repository lacks
    max_tokens: int = 512
    token_step: int = 0  # text is padded to a multiple of this; 0: to max_tokens
    takes_text: bool = True
    classes: int = 0  # pictures of numbered classes, 0 to classes - 1, instead of words
    samplers: tuple[str, ...] = ()  # to choose from, the first if none is named; (): only Euler
    max_references: int = 0
    # What a picture is to the transformer: tokens beside those being made; latents of what a mask has left of it, or of
    # its edges or a depth map, beside each token; or tokens of text (variations).
    pictures: Literal["tokens", "erased", "edges", "depth", "features"] = "tokens"
    trained_references: int = 0  # more than this goes beyond the authors' code; 0: max_references
    follows: bool = False  # a pose, edges, a depth map or a layout among its references, when told so
    needs_picture: bool = False  # there is nothing to do without one
    needs_prompt: bool = True
    mask: bool = False
    guidance_kind: Literal["none", "embedded", "cfg"] = "none"
    guidance: float = 1.0
    steps: int = 4
    mu: float | None = None  # a fixed shift of the schedule; None: the family's own rule
    reference_bank: bool = False  # references run alone at t = 0 and their K and V are kept (the KV checkpoints)
    steers_apart: bool = False  # blocks have a modulation each: a quarter of the weights, which go before the steps
    mlp_matrices: int = 3  # of each MLP: 3 where it is gated, else 2
    keeps_whole: bool = False  # a single picture is filled up to whole tokens, not cropped; so is what is made of it
    boxes: bool = False  # a prompt may end in a list of places: see boxes.py
    advice: str = ""  # what to know before choosing it, a sentence
    writer: str = ""  # the row of LANGUAGES that writes its prompts out: its own, or its text encoder in full
    structured: bool = False  # reads a description as a JSON object too, by its makers' guide
    needs_writer: bool = False  # taught on long descriptions alone: a few words give a generic picture
    places: frozenset[str] = frozenset()  # it draws these alone, by any word that names one; empty: any place
    mention: str = "image {}"  # what a prompt calls the picture of a number
    cheap_decode: bool = False  # the autoencoder costs little beside a step, so that each can be shown in full
    size: Size = parts.SQUARE
    size_multiple: int = 16
    min_side: int = 64
    max_pixels: int = 4 * MEGAPIXEL
    output_pixels: int = MEGAPIXEL  # cap of a size taken from a reference
    preferred_sizes: tuple[Size, ...] = ()  # a picture is brought to the one nearest in shape
    reference_pixels: tuple[int, int] = (MEGAPIXEL, MEGAPIXEL)  # cap with one reference, with several, if none is asked
    reference_most: int = 2024 * 2024  # of one reference, on request: what its makers' code uses
    dtypes: tuple[str, ...] = parts.DTYPES  # of a run
    pipelines: tuple[str, ...] = ()  # classes that model_index.json may name; (): any that no other row names

    @property
    def usual_tokens(self) -> int:
        """Text tokens of a step that a forecast assumes: a long prompt where text is not padded to the limit."""
        if not self.takes_text:
            return 0
        return min(self.max_tokens, 8 * self.token_step) if self.token_step else self.max_tokens

    def output_size(self, pixels: np.ndarray | None, alone: bool = True) -> Size:
        """The default: the shape of `pixels` (H, W, 3) scaled to at most output_pixels, else `size`.

        `alone`: there is no other picture.
        """
        if pixels is None:
            return self.size
        size = Size.of(pixels)
        if self.keeps_whole and alone:
            return reference_canvas(size, self.reference_pixels[0]).used
        if self.preferred_sizes:
            return self.choose_preferred(size)
        factor = min(1.0, math.sqrt(self.output_pixels / size.area))
        return Size(self._fit(size.width * factor), self._fit(size.height * factor))

    @property
    def takes_reference_size(self) -> bool:
        """Whether it can be said at how many pixels a picture is seen: not where the model has sizes of its own."""
        return self.pictures == "tokens" and not self.preferred_sizes and self.max_references > 0

    def limit_references(self, pixels: int | None) -> ModelSpec:
        """The row as it is for a run that looks at its references at `pixels` each, or as it says itself.

        A single one can be seen larger than by default, several only smaller.
        """
        if pixels is None:
            return self
        caps = min(pixels, self.reference_most), min(pixels, self.reference_pixels[1])
        return dataclasses.replace(self, reference_pixels=caps)

    @property
    def called(self) -> str:
        """In a sentence for artists, who know no name such as mini."""
        return self.title if self.repo else "the built-in model"

    @property
    def subject(self) -> str:
        """The same where a sentence begins with it."""
        return self.called[:1].upper() + self.called[1:]

    def choose_preferred(self, size: Size) -> Size:
        """The preferred size nearest in shape; of two as near the narrower."""
        shape = size.width / size.height
        return min(self.preferred_sizes, key=lambda one: (abs(shape - one.width / one.height), one))

    def _fit(self, side: float) -> int:
        return max(self.min_side, int(side) // self.size_multiple * self.size_multiple)


_BFL = "black-forest-labs/"
_ROWS = (
    ModelSpec(
        "mini",
        family="flux2",
        title="mini, the small built-in model",
        licence=parts.APACHE,
        repo=None,
        transformer=parts.MINI,
        text=parts.MINI_TEXT,
        text_family="text_qwen3",
        template="klein",
        autoencoder=parts.MINI_AUTOENCODER,
        max_tokens=40,
        max_references=6,
        mask=True,
        guidance_kind="cfg",
        guidance=2.0,
        steps=4,
        mu=0.8,
        places=parts.MINI_PLACES,
        cheap_decode=True,
        size_multiple=32,
        size=Size(256, 256),
        max_pixels=4 * 256 * 256,
        output_pixels=256 * 256,
        reference_pixels=(256 * 256, 256 * 256),
        reference_most=256 * 256,
        dtypes=("bfloat16", "float32"),  # its streams reach 1e6, its autoencoder's maps 2.4e5: float16 ends at 65504
    ),
    ModelSpec(
        "flux1-schnell",
        title="FLUX.1 schnell",
        repo=_BFL + "FLUX.1-schnell",
        licence=parts.APACHE,
        gated=True,  # since April 2025
        transformer=parts.FLUX1_SIZES,
        parameters={"transformer": 11_891_178_560, **parts.FLUX1_WEIGHTS},
        finer=parts.count_flux1(25_492_544),
        max_tokens=256,
        mu=0.0,
        pipelines=("FluxPipeline",),
        **parts.FLUX1,
    ),
    ModelSpec(
        "flux1-dev",
        title="FLUX.1 dev",
        repo=_BFL + "FLUX.1-dev",
        steps=28,
        guidance=3.5,
        pipelines=("FluxPipeline",),
        **parts.FLUX1_DEV,
    ),
    ModelSpec(
        "flux1-krea-dev",
        title="FLUX.1 Krea dev",
        repo=_BFL + "FLUX.1-Krea-dev",
        steps=28,
        guidance=4.5,
        pipelines=("FluxPipeline",),
        **parts.FLUX1_DEV,
    ),
    ModelSpec(
        "flux1-kontext-dev",
        title="FLUX.1 Kontext dev",
        repo=_BFL + "FLUX.1-Kontext-dev",
        steps=28,
        guidance=2.5,
        max_references=4,
        trained_references=1,
        mask=True,
        preferred_sizes=parts.KONTEXT_SIZES,
        pipelines=("FluxKontextPipeline",),
        **parts.FLUX1_DEV,
    ),
    ModelSpec(
        "flux1-fill-dev",
        title="FLUX.1 Fill dev",
        repo=_BFL + "FLUX.1-Fill-dev",
        pipelines=("FluxFillPipeline",),
        **parts.FLUX1_FILL,
    ),
    ModelSpec(
        "flux1-canny-dev",
        title="FLUX.1 Canny dev",
        repo=_BFL + "FLUX.1-Canny-dev",
        pictures="edges",
        guidance=30.0,
        pipelines=("FluxControlPipeline",),
        **parts.FLUX1_CONTROL,
    ),
    ModelSpec(
        "flux1-depth-dev",
        title="FLUX.1 Depth dev",
        repo=_BFL + "FLUX.1-Depth-dev",
        pictures="depth",
        guidance=10.0,
        pipelines=("FluxControlPipeline",),
        **parts.FLUX1_CONTROL,
    ),
    ModelSpec(
        "flux1-redux-dev",
        title="FLUX.1 Redux dev",
        repo=_BFL + "FLUX.1-Redux-dev",
        pipelines=("FluxPriorReduxPipeline", "FluxPipeline"),
        **parts.FLUX1_REDUX,
    ),
    ModelSpec(
        "flux2-dev",
        family="flux2",
        title="FLUX.2 dev",
        licence=parts.FLUX_NC,
        repo=_BFL + "FLUX.2-dev",
        gated=True,
        transformer=parts.DEV,
        text=parts.MISTRAL_24B,
        writer="mistral-small",
        structured=True,
        text_family="text_mistral3",
        template="flux2-dev",
        files=parts.DIFFUSERS_FILES,
        parameters={"transformer": 32_223_281_152, "text_encoder": 17_343_754_240, "autoencoder": 84_046_372},
        finer={"transformer": Finer(80_232_448, 736_100_352), "text_encoder": Finer(307_200, 0, 671_088_640)},
        blocks={
            "transformer": Blocks(1_962_934_272),
            "text_encoder": Blocks(1_226_833_920, Finer(0, 0, 671_088_640)),
        },
        download_bytes=112_800_000_000,
        max_references=10,
        follows=True,
        mask=True,
        guidance_kind="embedded",
        guidance=4.0,
        steps=50,
        pipelines=("Flux2Pipeline",),
    ),
    ModelSpec(
        "flux2-klein-4b",
        title="FLUX.2 klein 4B",
        repo=_BFL + "FLUX.2-klein-4B",
        pipelines=parts.KLEIN_PIPELINES,
        **parts.FOUR_B,
    ),
    ModelSpec(
        "flux2-klein-base-4b",
        title="FLUX.2 klein base 4B",
        repo=_BFL + "FLUX.2-klein-base-4B",
        pipelines=parts.KLEIN_PIPELINES,
        **parts.FOUR_B,
        **parts.BASE,
    ),
    ModelSpec(
        "flux2-klein-9b",
        title="FLUX.2 klein 9B",
        repo=_BFL + "FLUX.2-klein-9B",
        pipelines=parts.KLEIN_PIPELINES,
        **parts.NINE_B,
    ),
    ModelSpec(
        "flux2-klein-base-9b",
        title="FLUX.2 klein base 9B",
        repo=_BFL + "FLUX.2-klein-base-9B",
        pipelines=parts.KLEIN_PIPELINES,
        **parts.NINE_B,
        **parts.BASE,
    ),
    ModelSpec(
        "flux2-klein-9b-kv",
        title="FLUX.2 klein 9B KV",
        repo=_BFL + "FLUX.2-klein-9b-kv",
        reference_bank=True,
        pipelines=("Flux2KleinKVPipeline",),
        **parts.NINE_B,
    ),
    ModelSpec(
        "flux3-image-klein",
        title="FLUX.3 image klein",
        repo=_BFL + "flux-3-image-klein",
        transformer={**parts.FLUX3_SIZES, "flow_map": True},
        parameters={"transformer": 5_548_681_984, **parts.FLUX3_WEIGHTS},
        finer={"transformer": Finer(21_637_888, 251_658_240), "text_encoder": parts.FLUX3_TEXT_FINER},
        steps=16,
        **parts.FLUX3,
    ),
    ModelSpec(
        "flux3-image-klein-base",
        title="FLUX.3 image klein base",
        repo=_BFL + "flux-3-image-klein-base",
        transformer=parts.FLUX3_SIZES,
        parameters={"transformer": 5_538_458_368, **parts.FLUX3_WEIGHTS},
        finer={"transformer": Finer(11_414_272, 251_658_240), "text_encoder": parts.FLUX3_TEXT_FINER},
        guidance_kind="cfg",
        guidance=4.0,
        steps=50,
        **parts.FLUX3,
    ),
    ModelSpec(
        "selfflow-imagenet",
        family="selfflow",
        title="Self-Flow, ImageNet at 256 pixels",
        licence=parts.APACHE,
        repo="Hila/Self-Flow",
        transformer=parts.SIT_XL,
        autoencoder=parts.SD_AE,
        takes_text=False,
        classes=1000,
        samplers=("sde", "ode"),  # the released one, and one of ours: it has no "ode"
        files=("selfflow_imagenet256.pt",),
        further=(parts.SD_VAE,),
        parameters={"transformer": 680_441_504, "autoencoder": 83_653_863},
        finer={"transformer": Finer(3_618_464, 225_607_680)},
        download_bytes=3_060_000_000,
        guidance_kind="cfg",
        steps=250,
        mlp_matrices=2,
        size=Size(256, 256),
        min_side=256,
        max_pixels=256 * 256,
    ),
)
SPECS: dict[str, ModelSpec] = {row.name: row for row in _ROWS}
