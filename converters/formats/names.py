"""What ComfyUI and trainers put in front of names, and the components of a file that holds several of them.

A ComfyUI checkpoint has its transformer behind `model.diffusion_model.`, its autoencoder behind `vae.` and each encoder
behind `text_encoders.NAME.transformer.`; torch.compile and torch's wrappers add `_orig_mod.` and `module.`.
"""

import re
from collections.abc import Iterable

from mlx_model.errors import ConvertError

# In front, or inside where a block was compiled or wrapped alone.
WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
WRAPPED = "module."
# In the order of components: what comes first is the main one. The group names the component, the rest is cut off.
PLACES = (
    ("transformer", re.compile(r"(?:model\.)?(diffusion_model)\.")),
    ("autoencoder", re.compile(r"(vae|first_stage_model)\.")),
    ("text encoder", re.compile(r"text_encoders\.([^.]+)\.(?:transformer\.)?")),
)
# Markers, vocabularies, and what only training or comparison with pictures needs.
MARK = "scaled_fp8"  # that matrices in 8 bits have scales
SIDE = (MARK, "logit_scale", "text_projection", "tekken_model", "spiece_model", "tokenizer_json")
TOLD = ("tekken_model", "spiece_model", "tokenizer_json")  # a person might think that these are used

Names = dict[str, str]  # plain name -> the name in the file


def strip_wrappers(name: str) -> str:
    """Without what torch puts in front of names."""
    return WRAPPERS.sub("", name).removeprefix(WRAPPED)


def list_components(names: Iterable[str]) -> list[Names]:
    """The tensors of each component of a file by plain names, the transformer's first; side tensors left out.

    A file of one component is one list, whether its names are prefixed or not; of what stands before them only what is
    known here is cut off. Raises ConvertError: two are alike.
    """
    found: dict[tuple[int, str], Names] = {}
    for name in names:
        place, plain = _find_place(strip_wrappers(name))
        if plain.rpartition(".")[2] in SIDE:
            continue
        component = found.setdefault(place, {})
        if plain in component:
            raise ConvertError(
                f"{name} and {component[plain]} are the same tensor.", "Get the model from another place."
            )
        component[plain] = name
    return [found[place] for place in sorted(found)]


def cut_front(names: Names, signatures: Iterable[str]) -> Names:
    """Without whatever else stands before all names, where one of the `signatures` follows it."""
    wanted = list(signatures)
    if any(signature in names for signature in wanted):
        return names
    for signature in wanted:
        front = next((name.removesuffix(signature) for name in names if name.endswith(f".{signature}")), "")
        if front and all(name.startswith(front) for name in names):
            return {name.removeprefix(front): own for name, own in names.items()}
    return names


def _find_place(name: str) -> tuple[tuple[int, str], str]:
    for number, (_, pattern) in enumerate(PLACES):
        match = pattern.match(name)
        if match:
            return (number, match[1]), strip_wrappers(name[match.end() :])
    return (len(PLACES), ""), name


def list_marked(names: Iterable[str]) -> set[tuple[int, str]]:
    """Places of the components that a mark says to have scales."""
    return {
        place
        for place, plain in (_find_place(strip_wrappers(name)) for name in names)
        if plain.rpartition(".")[2] == MARK
    }


def is_marked(component: Names, names: Iterable[str]) -> bool:
    """Whether a mark among all names of a file says that this component has scales."""
    first = next(iter(component.values()), "")
    return _find_place(strip_wrappers(first))[0] in list_marked(names)


def list_told(names: Iterable[str]) -> list[str]:
    """Side tensors that a person might expect to be used."""
    return sorted(name for name in names if name.rpartition(".")[2] in TOLD)


def strip_place(name: str) -> str:
    """The plain name of a tensor or a layer, without what stands for its component."""
    return _find_place(strip_wrappers(name))[1]
