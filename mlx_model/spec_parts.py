"""What rows of SPECS share: licences, what is downloaded, the arguments of each network's Params.

Sources: the model cards, black-forest-labs/flux src/flux/util.py and flux2 src/flux2/util.py, and the published shapes
(tests/data/layouts). Numbers of weights are counted from those.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .geometry import Size

BITS = (4, 5, 6, 8, 16)  # a weight, that a model is offered at; 32, the source as it is, is no choice of a window
DTYPES = ("float32", "bfloat16", "float16")  # of the numbers of a run
MEGAPIXEL = 1024 * 1024
SQUARE = Size(1024, 1024)
_HUB = "https://huggingface.co/"


@dataclass(frozen=True)
class Licence:
    name: str
    url: str
    summary: str
    consent: bool = False  # the user must agree before the download


@dataclass(frozen=True)
class Download:
    """Files that a model needs from a repository of others, put into the subfolder `into`."""

    repo: str
    files: tuple[str, ...]  # patterns
    into: str = ""
    optional: bool = False  # the model runs without it
    model: str = ""  # a row of SPECS that holds the same: nothing is fetched where it is installed


class Finer(NamedTuple):
    """How many of a component's weights a plan of 8 bits or less packs less than the others, or not at all.

    converters.quantize decides it, a test holds it against that.
    """

    dense: int  # norms, biases, entries: at 16 bits in every plan
    steering: int  # modulation and the like: at 16 bits where the rest has 8, else at 8
    tables: int = 0  # looked up: at 8 bits


class Blocks(NamedTuple):
    """How many of a component's weights come and go where its blocks are read as it runs: those of the two largest.

    A token table is one more block. A test holds it against the networks.
    """

    pair: int
    finer: Finer = Finer(0, 0)  # of the pair
    steering: int | None = None  # of all that steers, what lies outside of blocks and stays; None: all of it


APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", "free for any use")
FLUX1_NC = Licence(
    "FLUX.1 [dev] Non-Commercial",
    _HUB + "black-forest-labs/FLUX.1-dev/blob/main/LICENSE.md",
    "non-commercial use of the model; read it for what you may do with the pictures",
    consent=True,
)
FLUX_NC = Licence(
    "FLUX Non-Commercial",
    _HUB + "black-forest-labs/FLUX.2-dev/blob/main/LICENSE.md",
    "non-commercial use of the model; asks for filters or a manual review of what it makes",
    consent=True,
)
FLUX_NC_9B = replace(FLUX_NC, url=_HUB + "black-forest-labs/FLUX.2-klein-9B/blob/main/LICENSE.md")
KOMMUNITY = Licence(
    "FLUX Kommunity 1.0",
    _HUB + "black-forest-labs/flux-3-image-klein/blob/main/LICENSE.md",
    "non-commercial use; pictures also commercially for users with less than 5 million dollars of yearly revenue",
    consent=True,
)

# Encoders of text and pictures.
T5_XXL = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "out_layers": (9, 18, 27),
}
QWEN3_8B = {**QWEN3_4B, "hidden_size": 4096, "intermediate_size": 12288}
QWEN3_VL_4B = {**QWEN3_4B, "out_layers": tuple(range(4, 33, 4)), "rope_theta": 5e6}
MISTRAL_24B = {
    "hidden_size": 5120,
    "intermediate_size": 32768,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "out_layers": (10, 20, 30),
}

# Transformers.
FLUX1_SIZES: dict[str, Any] = {
    "hidden_size": 3072,
    "num_heads": 24,
    "depth": 19,
    "depth_single_blocks": 38,
    "context_in_dim": 4096,
    "vec_in_dim": 768,
    "mlp_ratio": 4.0,
}
DEV = {
    "hidden_size": 6144,
    "num_heads": 48,
    "depth": 8,
    "depth_single_blocks": 48,
    "context_in_dim": 15360,
    "guidance_embed": True,
}
KLEIN_4B = {"hidden_size": 3072, "num_heads": 24, "depth": 5, "depth_single_blocks": 20, "context_in_dim": 7680}
KLEIN_9B = {"hidden_size": 4096, "num_heads": 32, "depth": 8, "depth_single_blocks": 24, "context_in_dim": 12288}
FLUX3_SIZES = {"hidden_size": 3072, "num_heads": 24, "depth": 5, "depth_single_blocks": 28, "context_in_dim": 20480}
SIT_XL = {"hidden_size": 1152, "num_heads": 16, "depth": 28, "mlp_ratio": 4.0}

# Autoencoders; FLUX.2's, which FLUX.3 shares, is the default of autoencoder.Params.
FLUX1_AE = {"z_channels": 16, "packed_norm": False, "quant_convs": False, "scale": 0.3611, "shift": 0.1159}
SD_AE = {"z_channels": 4, "packed_norm": False, "scale": 0.18215}

DIFFUSERS_FILES = ("model_index.json", "transformer/*", "text_encoder/*", "tokenizer/*", "vae/*", "scheduler/*")
FLUX1_FILES = (*DIFFUSERS_FILES, "text_encoder_2/*", "tokenizer_2/*")
VAE_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
TAEF1 = Download("madebyollin/taef1", VAE_FILES, "tiny_autoencoder", optional=True)
SD_VAE = Download("stabilityai/sd-vae-ft-ema", VAE_FILES, "vae")
KLEIN_PIPELINES = ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline")

# What Kontext was trained on (black-forest-labs/flux src/flux/util.py).
_NARROW = ((672, 1568), (688, 1504), (720, 1456), (752, 1392), (800, 1328), (832, 1248), (880, 1184), (944, 1104))
KONTEXT_SIZES = (
    *(Size(short, long) for short, long in _NARROW),
    SQUARE,
    *(Size(long, short) for short, long in reversed(_NARROW)),
)

# What the rows of a family have in common.
FLUX1_WEIGHTS = {"text_encoder": 4_762_310_656, "pooled_encoder": 123_060_480, "autoencoder": 83_819_683}
_T5_FINER = Finer(202_752, 0, 131_596_288)
_FLUX1_STEERING = 3_258_974_208


FLUX1_BLOCKS = {
    "transformer": Blocks(679_477_248, Finer(0, 226_492_416), 31_457_280),
    "text_encoder": Blocks(385_878_016, Finer(2_048, 0)),
}


def count_flux1(dense: int) -> dict[str, Finer]:
    return {"transformer": Finer(dense, _FLUX1_STEERING), "text_encoder": _T5_FINER}


FLUX1: dict[str, Any] = {
    "family": "flux1",
    "steers_apart": True,
    "text": T5_XXL,
    "text_family": "text_t5",
    "template": "t5",
    "extras": {"pooled_encoder": ("text_clip", CLIP_L)},
    "autoencoder": FLUX1_AE,
    "mlp_matrices": 2,
    "blocks": FLUX1_BLOCKS,
    "files": FLUX1_FILES,
    "further": (TAEF1,),
    "download_bytes": 33_740_000_000,
    "reference_pixels": (MEGAPIXEL, MEGAPIXEL),
}
FLUX1_DEV: dict[str, Any] = {
    **FLUX1,
    "licence": FLUX1_NC,
    "gated": True,
    "transformer": {**FLUX1_SIZES, "guidance_embed": True},
    "parameters": {"transformer": 11_901_408_320, **FLUX1_WEIGHTS},
    "finer": count_flux1(35_722_304),
    "guidance_kind": "embedded",
}
FLUX1_CONTROL: dict[str, Any] = {
    **FLUX1_DEV,
    "transformer": {**FLUX1_SIZES, "guidance_embed": True, "in_channels": 128},
    "parameters": {"transformer": 11_901_604_928, **FLUX1_WEIGHTS},
    "finer": count_flux1(35_918_912),
    "needs_picture": True,
    "max_references": 1,
    "steps": 50,
}
FLUX1_FILL: dict[str, Any] = {
    **FLUX1_DEV,
    "transformer": {**FLUX1_SIZES, "guidance_embed": True, "in_channels": 384},
    "parameters": {"transformer": 11_902_391_360, **FLUX1_WEIGHTS},
    "finer": count_flux1(36_705_344),
    "pictures": "erased",
    "needs_picture": True,
    "max_references": 1,
    "mask": True,
    "steps": 50,
    "guidance": 30.0,
}
# The repository of Redux holds only what is new: the rest of the model is FLUX.1 dev.
FLUX1_REDUX: dict[str, Any] = {
    **FLUX1_DEV,
    "extras": {**FLUX1["extras"], "image_encoder": ("image_siglip", SIGLIP), "image_embedder": ("redux", {})},
    "parameters": {**FLUX1_DEV["parameters"], "image_encoder": 412_987_248, "image_embedder": 64_503_808},
    "files": ("image_embedder/*", "image_encoder/*", "feature_extractor/*"),
    "further": (Download("black-forest-labs/FLUX.1-dev", FLUX1_FILES, model="flux1-dev"), TAEF1),
    "download_bytes": 34_730_000_000,
    "pictures": "features",
    "trained_references": 1,
    "needs_picture": True,
    "needs_prompt": False,
    "max_references": 4,
    "steps": 50,
    "guidance": 2.5,
}
KLEIN: dict[str, Any] = {
    "family": "flux2",
    "structured": True,
    "text_family": "text_qwen3",
    "template": "klein",
    "files": DIFFUSERS_FILES,
    "max_references": 10,
    "follows": True,
    "mask": True,
}
BASE: dict[str, Any] = {"guidance_kind": "cfg", "guidance": 4.0, "steps": 50}
QWEN3_4B_BLOCKS = Blocks(489_881_600, Finer(0, 0, 388_956_160))
FOUR_B: dict[str, Any] = {
    **KLEIN,
    "transformer": KLEIN_4B,
    "text": QWEN3_4B,
    "writer": "qwen3-4b",
    "licence": APACHE,
    "parameters": {"transformer": 3_875_544_576, "text_encoder": 3_114_088_192, "autoencoder": 84_046_372},
    "finer": {
        "transformer": Finer(11_017_728, 184_025_088),
        "text_encoder": Finer(145_152, 0, 388_956_160),
    },
    "blocks": {"transformer": Blocks(490_733_568), "text_encoder": QWEN3_4B_BLOCKS},
    "download_bytes": 15_980_000_000,
}
NINE_B: dict[str, Any] = {
    **KLEIN,
    "transformer": KLEIN_9B,
    "text": QWEN3_8B,
    "writer": "qwen3-8b",
    "licence": FLUX_NC_9B,
    "gated": True,
    "parameters": {"transformer": 9_078_581_248, "text_encoder": 5_831_883_520, "autoencoder": 84_046_372},
    "finer": {
        "transformer": Finer(18_884_608, 335_544_320),
        "text_encoder": Finer(228_096, 0, 622_329_856),
    },
    "blocks": {"transformer": Blocks(872_415_232), "text_encoder": Blocks(815_267_840, Finer(0, 0, 622_329_856))},
    "download_bytes": 34_900_000_000,
}
FLUX3: dict[str, Any] = {
    "family": "flux3",
    "text": QWEN3_VL_4B,
    "text_family": "text_qwen3",
    "template": "flux3",
    "max_tokens": 8192,
    "token_step": 80,
    "licence": KOMMUNITY,
    "gated": True,
    "files": DIFFUSERS_FILES,
    "download_bytes": 20_300_000_000,
    "max_references": 10,
    "follows": True,
    "mask": True,
    "reference_most": 4 * MEGAPIXEL,
    "keeps_whole": True,
    "boxes": True,
    "blocks": {"transformer": Blocks(245_366_784), "text_encoder": QWEN3_4B_BLOCKS},
    "mention": "<ref_image_{}>",
    "writer": "flux3-writer",
    "needs_writer": True,
    "advice": "By its makers' own words it needs a prompt that is written out: a few words give a generic picture.",
}
FLUX3_TEXT_FINER = Finer(172_032, 0, 388_956_160)
FLUX3_WEIGHTS = {"text_encoder": 3_618_742_272, "autoencoder": 84_046_372}

MINI = {
    "hidden_size": 256,
    "num_heads": 4,
    "depth": 2,
    "depth_single_blocks": 4,
    "context_in_dim": 384,
    "in_channels": 64,
    "axes_dim": (8, 24, 24, 8),
    "theta": 50.0,
}
MINI_PLACES = frozenset(  # words of its training
    ("beach", "city", "street", "snow", "forest", "woods", "desert", "park", "outside", "bar", "space", "moon", "room",
     "home")
)  # fmt: skip
MINI_TEXT = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "out_layers": (2, 3, 4),
    "vocab_size": 1024,
    "rope_theta": 1e4,
}
MINI_AUTOENCODER = {
    "ch": 16,
    "decoder_ch": 32,
    "ch_mult": (1, 1, 2, 4),
    "num_res_blocks": 1,
    "z_channels": 16,
    "groups": 4,
    "pixel_patch": 2,
}
