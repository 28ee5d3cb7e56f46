"""For every row of SPECS: our full-size networks have exactly the names and shapes of the published checkpoint.

In both layouts through the key tables; nothing is allocated, MLX arrays are lazy. The numbers of SPECS are those.
"""

import re
from importlib import import_module
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.keys import text
from converters.keys.families import SIZES
from converters.keys.rules import apply
from converters.parts import recognise
from converters.quantize import PLANS, find_form
from mlx_model.errors import LayoutError
from mlx_model.specs import SPECS
from mlx_model.store import weights
from mlx_model.store.folder import roles
from tests.converters.keys.published import LISTS, lists
from tests.converters.keys.test_layouts import shapes, table
from tests.converters.made_selfflow import old_name

CASES = [(model, role, name) for model in LISTS for role, name in lists(model)]
ONCE = list({name: case for case in CASES for name in case[2:]}.values())  # several models share a list
PUBLISHED = [spec.name for spec in SPECS.values() if spec.repo]


def params_of(spec, role):
    sizes = {"transformer": spec.transformer, "text_encoder": spec.text, "autoencoder": spec.autoencoder}
    given = sizes[role] if role in sizes else spec.extras[role][1]
    return import_module(f"mlx_model.nets.{roles(spec)[role]}").Params(**given)


def converted(spec, role, name):
    """The tensors of a list by our names, and the arguments of Params that their shapes give."""
    source = table(name)
    layout = recognise({key: ("BF16", tuple(x.shape)) for key, x in source.items()}, Path(name))
    assert (layout.role, layout.family) == (role, roles(spec)[role])
    found = apply(layout.rules(shapes(source)), source)
    config = {"rope_theta": spec.text["rope_theta"]} if role == "text_encoder" and "rope_theta" in spec.text else {}
    if layout.family in SIZES:
        return found, SIZES[layout.family](shapes(found), config)
    outs = tuple(spec.text["out_layers"])
    sizes = text.read_sizes(shapes(found), config, outs, spec.transformer["context_in_dim"])
    return apply(text.keep_layers(max(outs)), found), sizes


def test_every_row_has_its_lists():
    assert list(LISTS) == PUBLISHED
    for model in PUBLISHED:
        missing = set(roles(SPECS[model])) - {role for role, _ in lists(model)}
        assert missing <= ({"autoencoder"} if SPECS[model].classes else set())


@pytest.mark.parametrize(("model", "role", "name"), CASES)
def test_names_shapes_and_numbers(model, role, name):
    spec = SPECS[model]
    found, sizes = converted(spec, role, name)
    params = params_of(spec, role)
    assert type(params)(**sizes) == params
    network = weights.build(role, roles(spec)[role], params)
    assert {key: tuple(x.shape) for key, x in tree_flatten(network.parameters())} == shapes(found)
    weights.fit(network, shapes(found))
    assert sum(x.size for x in found.values()) == spec.parameters[role] + statistics(found)


def statistics(found) -> int:
    """One number of the published count is the batch counter, which is dropped."""
    return -1 if "bn.running_mean" in found else 0


@pytest.mark.first_case
@pytest.mark.parametrize(("model", "role", "name"), ONCE)
def test_one_tensor_more_or_of_another_shape(model, role, name):
    """Whichever it is: the table or the network notices."""
    found, sizes = converted(SPECS[model], role, name)
    network = weights.build(role, roles(SPECS[model])[role], sizes)
    for key in (next(iter(found)), list(found)[-1]):
        with pytest.raises(LayoutError, match="left over"):
            weights.fit(network, shapes({**found, key + "x": found[key]}))
        with pytest.raises(LayoutError, match="another shape"):
            weights.fit(network, shapes({**found, key: mx.zeros((3, 5, 7))}))
        with pytest.raises(LayoutError, match="missing"):
            weights.fit(network, shapes({k: x for k, x in found.items() if k != key}))


def test_the_autoencoder_of_stable_diffusion():
    """From memory, not from a list: the former names of diffusers."""
    spec = SPECS["selfflow-imagenet"]
    network = weights.build("autoencoder", "autoencoder", spec.autoencoder)
    ours = dict(tree_flatten(network.parameters()))
    source = {}
    for name, x in ours.items():
        theirs, array = old_name(name, np.broadcast_to(np.float32(0), x.shape))
        source[theirs] = mx.zeros(array.shape)
    layout = recognise({key: ("F32", tuple(x.shape)) for key, x in source.items()}, Path("vae"))
    found = apply(layout.rules(shapes(source)), source)
    assert layout.name == "diffusers-0.4"
    assert shapes(found) == shapes(ours)
    assert type(network.params)(**SIZES["autoencoder"](shapes(found), {})) == network.params
    assert sum(x.size for x in found.values()) == spec.parameters["autoencoder"]


KEPT = {  # what stays at 16 bits in a plan of 4, among the matrices; the rest of the steering ones has 8
    "flux1": ("img_in", "time_in", "vector_in", "guidance_in", "final_layer"),
    "flux2": ("img_in", "time_in", "guidance_in", "final_layer"),
    "flux3": ("emb_in", "time_in", "ref_time_in", "final_layer"),
    "selfflow": ("x_embedder", "t_embedder", "y_embedder", "final_layer"),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_what_every_token_depends_on_is_not_packed_hard(model):
    """Embedders, time, guidance and the last projection stay whole; modulation has 8 bits at least."""
    spec = SPECS[model]
    names = [n for n, x in converted(spec, "transformer", lists(model)[0][1])[0].items() if x.ndim == 2]
    bits = {name: find_form(name, PLANS["q4"]).bits for name in names}
    steering = [name for name in names if re.search(r"_mod\.|odulation|txt_in", name)]
    assert {bits[name] for name in steering} == {8}
    whole = {name.split(".")[0] for name in names if bits[name] == 16}
    assert whole == {name.split(".")[0] for name in names} & set(KEPT[spec.family])
    assert {bits[name] for name in names if name not in steering and name.split(".")[0] not in whole} == {4}
