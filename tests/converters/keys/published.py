"""Which lists of tests/data/layouts are the published checkpoint of each row of SPECS; {} is bfl or diffusers."""

_FLUX1 = {"autoencoder": "flux1_ae_{}", "text_encoder": "te_t5_xxl_encoder", "pooled_encoder": "te_clip_l"}
_DEV = {"transformer": "flux1_dev_{}", **_FLUX1}
_CONTROL = {"transformer": "flux1_control_{}", **_FLUX1}
_REDUX = {"image_embedder": "flux1_redux_{}", "image_encoder": "te_siglip_so400m_vision"}
_4B = {"transformer": "flux2_klein_4b_{}", "autoencoder": "flux2_ae_{}", "text_encoder": "te_qwen3_4b"}
_9B = {"transformer": "flux2_klein_9b_{}", "autoencoder": "flux2_ae_{}", "text_encoder": "te_qwen3_8b"}
_FLUX3 = {"autoencoder": "flux2_ae_{}", "text_encoder": "te_qwen3_vl_4b"}

LISTS: dict[str, dict[str, str]] = {
    "flux1-schnell": {"transformer": "flux1_schnell_{}", **_FLUX1},
    "flux1-dev": _DEV,
    "flux1-krea-dev": _DEV,
    "flux1-kontext-dev": _DEV,
    "flux1-fill-dev": {"transformer": "flux1_fill_{}", **_FLUX1},
    "flux1-canny-dev": _CONTROL,
    "flux1-depth-dev": _CONTROL,
    "flux1-redux-dev": {**_DEV, **_REDUX},
    "flux2-dev": {"transformer": "flux2_dev_{}", "autoencoder": "flux2_ae_{}", "text_encoder": "te_mistral_small_24b"},
    "flux2-klein-4b": _4B,
    "flux2-klein-base-4b": _4B,
    "flux2-klein-9b": _9B,
    "flux2-klein-base-9b": _9B,
    "flux2-klein-9b-kv": _9B,
    "flux3-image-klein": {"transformer": "flux3_klein_{}", **_FLUX3},
    "flux3-image-klein-base": {"transformer": "flux3_klein_base_{}", **_FLUX3},
    "selfflow-imagenet": {"transformer": "selfflow_imagenet256"},  # no list of its autoencoder's names was at hand
}
FORMS = ("bfl", "diffusers")


def lists(model: str) -> list[tuple[str, str]]:
    """(role, name of the list), in every form that there is."""
    return [(role, name.format(form)) for role, name in LISTS[model].items() for form in FORMS[: 1 + ("{}" in name)]]
