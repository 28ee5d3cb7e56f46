"""LoRA files that don't fit, are damaged or of another kind: refused by name with the reason, the model untouched."""

import json

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.errors import FluxLocalError, LayoutError, RequestError
from mlx_model.request import Lora
from mlx_model.store import lora, lora_files, lora_kinds
from tests.measuring import peak_of_mlx
from tests.model.store.made_loras import kohya, low_rank, peft, random, save
from tests.model.store.test_lora import QKV, net

DOWN, UP = low_rank(0, 192, 64)
GOOD = peft(QKV, DOWN, UP)


def refused(path, match, kind=LayoutError, exit_code=3, family="flux2"):
    model = net()
    modules = {name: id(module) for name, module in model.named_modules()}
    with pytest.raises(kind, match=match) as error:
        lora.apply(model, family, [Lora(str(path))])
    assert error.value.exit_code == exit_code
    assert {name: id(module) for name, module in model.named_modules()} == modules
    assert len(dict(tree_flatten(model.parameters()))) == len(dict(tree_flatten(net().parameters())))
    return str(error.value)


def test_no_such_file(tmp_path):
    refused(tmp_path / "x.safetensors", "no LoRA at", RequestError, 2)
    refused(tmp_path, "no LoRA at", RequestError, 2)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"PK\x03\x04" + bytes(90), b"\x80\x02}q", (2**60).to_bytes(8, "little")]
)
def test_no_safetensors_file(tmp_path, content):
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    refused(file, "not a sound safetensors file")


def test_cut_off(tmp_path):
    file = tmp_path / "x.safetensors"
    save(file, GOOD)
    file.write_bytes(file.read_bytes()[:-1])
    refused(file, "not a sound safetensors file")


def test_overlapping_tensors(tmp_path):
    entry = {"dtype": "F32", "shape": [4, 64], "data_offsets": [0, 1024]}
    head = json.dumps(dict.fromkeys(GOOD, entry)).encode()
    (tmp_path / "x.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(1024))
    refused(tmp_path / "x.safetensors", "not a sound safetensors file")


def test_nothing_matches(tmp_path):
    refused(
        save(tmp_path / "x.safetensors", {"model.layers.0.weight": DOWN}), r"does not fit.*model\.layers\.0\.weight"
    )


def test_empty(tmp_path):
    refused(save(tmp_path / "x.safetensors", {}), "empty")


@pytest.mark.parametrize("extra", [
    {"note": DOWN}, {f"{QKV}.lora_C.weight": DOWN}, peft("double_blocks.0.img_attn.o", DOWN, UP),
    {f"{QKV}.weight": DOWN}, {"emb_params": DOWN, "bundle_emb.x.clip_l": DOWN},
])  # fmt: skip
def test_keys_that_nobody_knows_are_told(tmp_path, extra):
    """With their number and names; the rest is used."""
    model, notes = net(), []
    assert lora.apply(model, "flux2", [Lora(save(tmp_path / "x.safetensors", GOOD | extra))], notes) == 1
    (note,) = notes
    assert all(name in note for name in extra)
    assert f"{len(extra)} tensor" in note


def test_many_unmatched_are_counted(tmp_path):
    extra, notes = {f"odd.{number}": DOWN for number in range(9)}, []
    lora.apply(net(), "flux2", [Lora(save(tmp_path / "x.safetensors", GOOD | extra))], notes)
    assert "9 tensors" in notes[0]
    assert "and 4 more" in notes[0]


def test_a_norm_of_another_size(tmp_path):
    extra = {"double_blocks.0.img_attn.norm.query_norm.scale": DOWN[0]}
    refused(save(tmp_path / "x.safetensors", GOOD | extra), "another size: .*query_norm has not 32 numbers")


def test_a_whole_model_is_no_lora(tmp_path):
    """Not even by its norms, which a control LoRA brings too."""
    whole = {"double_blocks.0.img_attn.norm.query_norm.scale": np.ones(32, np.float32), f"{QKV}.weight": UP @ DOWN}
    refused(save(tmp_path / "x.safetensors", whole), "does not fit this model.* does not look like a LoRA")


@pytest.mark.parametrize("tensors", [
    peft("transformer.single_transformer_blocks.0.proj_mlp", *low_rank(0, 256, 64)),
    peft("diffusion_model.double_blocks.0.img_mod.lin", *low_rank(0, 384, 64)),
    kohya("double_blocks.0.txt_mod.lin", *low_rank(0, 384, 64)),
])  # fmt: skip
def test_another_family_is_named(tmp_path, tensors):
    refused(save(tmp_path / "x.safetensors", tensors), r"does not fit this model.*It is for FLUX\.1")
    refused(save(tmp_path / "y.safetensors", GOOD | tensors), r"only in part.*It is for FLUX\.1")


def test_flux3_is_named(tmp_path):
    tensors = peft("diffusion_model.content_mode_blocks.image.0.q_proj", *low_rank(0, 64, 64))
    refused(save(tmp_path / "x.safetensors", tensors), r"It is for FLUX\.3")


def test_another_kind_of_model(tmp_path):
    tensors = kohya("down_blocks_0_attentions_0_proj_in", DOWN, UP)
    refused(save(tmp_path / "x.safetensors", tensors), "another kind of model")


def test_a_family_without_names(tmp_path):
    """Its own names are all that fits."""
    refused(save(tmp_path / "x.safetensors", peft("transformer_blocks.0.attn.to_q", DOWN, UP)), "fit", family="other")


@pytest.mark.parametrize("stem", ["lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_encoder.layers.0.mlp"])
def test_text_encoders_that_are_not_here(tmp_path, stem):
    """Left out with a word beside others; alone there is nothing to use."""
    parts, notes = peft(stem, DOWN, UP), []
    lora.apply(net(), "flux2", [Lora(save(tmp_path / "x.safetensors", GOOD | parts))], notes)
    assert "2 tensors belong to a text encoder that is not used here" in notes[0]
    refused(save(tmp_path / "y.safetensors", parts), "adapts only a text encoder")


def test_blocks_that_this_model_has_not(tmp_path):
    """One is told; where most are missing the file is for a larger model."""
    more, notes = peft("double_blocks.7.img_attn.qkv", DOWN, UP), []
    lora.apply(net(), "flux2", [Lora(save(tmp_path / "x.safetensors", GOOD | more))], notes)
    assert "2 tensors belong to layers that this model does not have: double_blocks.7" in notes[0]
    more |= peft("double_blocks.6.img_attn.qkv", DOWN, UP)
    refused(save(tmp_path / "y.safetensors", GOOD | more), "only in part")
    refused(save(tmp_path / "z.safetensors", more), "does not fit")


@pytest.mark.parametrize(("outputs", "inputs"), [(384, 128), (192, 128), (384, 64), (64, 192)])
def test_another_size(tmp_path, outputs, inputs):
    tensors = peft(QKV, *low_rank(0, outputs, inputs))
    refused(save(tmp_path / "x.safetensors", tensors), f"another size.*{inputs} inputs and {outputs} outputs, here 64")


def test_another_size_of_lokr(tmp_path):
    tensors = {f"{QKV}.lokr_w1": random(0, 4, 4), f"{QKV}.lokr_w2": random(1, 16, 16)}
    refused(save(tmp_path / "x.safetensors", tensors), "another size")


@pytest.mark.parametrize(("name", "what"), [
    ("oft_blocks", "OFT"), ("boft_R", "OFT"), ("oft_R.default.weight", "OFT"), ("vera_lambda_b", "VeRA"),
    ("bm.weight", "GLoRA of convolutions"), ("ia3_l", "IA3"), ("lora_embedding_A", "token table"),
])  # fmt: skip
def test_kinds_that_cannot_be_read_are_named(tmp_path, name, what):
    refused(save(tmp_path / "x.safetensors", GOOD | {f"{QKV}.{name}": DOWN}), rf"can't be read: .*{what}.*{name}")


def test_dora_without_its_lengths(tmp_path):
    told = {"lora_adapter_metadata": json.dumps({"transformer.use_dora": True})}
    refused(save(tmp_path / "x.safetensors", GOOD, told), "is a DoRA, and .* comes without its lengths")


def test_patterns_that_never_end_or_are_none(tmp_path, monkeypatch):
    """They come with files of strangers; re would search the first for years."""
    monkeypatch.setattr(lora_kinds, "PATIENCE", 0.05)
    with pytest.raises(ValueError, match="takes too long"):
        lora_kinds.find_pattern({"(a|b|ab)*c": 8}, "double_blocks.1." + "ab" * 30 + "!")
    told = {"lora_adapter_metadata": json.dumps({"lora_alpha": 4, "r": 4, "alpha_pattern": {"(": 8}})}
    refused(save(tmp_path / "x.safetensors", GOOD, told), "damaged settings: .*is no pattern")


@pytest.mark.parametrize("text", ["{", "[]", "5", '"x"', "[" * 100_000])
def test_damaged_settings(tmp_path, text):
    refused(save(tmp_path / "x.safetensors", GOOD, {"lora_adapter_metadata": text}), "damaged settings")


@pytest.mark.parametrize(
    "told", [{"lora_alpha": "x"}, {"lora_alpha": [1]}, {"alpha_pattern": 5}, {"alpha_pattern": [1]}]
)
def test_odd_settings(tmp_path, told):
    refused(save(tmp_path / "x.safetensors", GOOD, {"lora_adapter_metadata": json.dumps(told)}), "damaged")


@pytest.mark.parametrize("tensors", [
    {f"{QKV}.lora_A.weight": DOWN}, {f"{QKV}.lora_B.weight": UP},
    {f"{QKV}.lora_A.weight": DOWN, f"{QKV}.lora_B.weight": UP[:, :3]},
    {f"{QKV}.lora_A.weight": DOWN[:0], f"{QKV}.lora_B.weight": UP[:, :0]},
    {f"{QKV}.lora_A.weight": DOWN[0], f"{QKV}.lora_B.weight": UP},
    {f"{QKV}.lora_A.weight": DOWN.reshape(4, 16, 2, 2), f"{QKV}.lora_B.weight": UP[:, :, None, None]},
    GOOD | {f"{QKV}.dora_scale": DOWN[:, :3]}, {f"{QKV}.dora_scale": np.ones(192, np.float32)},
    {f"{QKV}.hada_w1_a": UP}, {f"{QKV}.hada_w1_a": UP, f"{QKV}.hada_w1_b": DOWN, f"{QKV}.hada_w2_a": UP},
    {f"{QKV}.diff_b": UP}, GOOD | {f"{QKV}.lora_B.bias": UP[:7, 0]},
    {f"{QKV}.lora_A.weight": np.float32(1), f"{QKV}.lora_B.weight": UP},
    {f"{QKV}.lokr_w1": DOWN}, {f"{QKV}.lokr_w1": DOWN, f"{QKV}.lokr_w2_a": UP},
    {f"{QKV}.lokr_w1": np.float32(1), f"{QKV}.lokr_w2": random(0, 192, 64)},
    GOOD | {f"{QKV}.lokr_w1": DOWN}, GOOD | {f"{QKV}.alpha": np.float32("nan")},
    GOOD | {f"{QKV}.alpha": np.ones(2, np.float32)},
    {f"{QKV}.lora_A.weight": DOWN * np.float32("nan"), f"{QKV}.lora_B.weight": UP},
    {f"{QKV}.lora_A.weight": DOWN, f"{QKV}.lora_B.weight": UP * np.float32("inf")},
])  # fmt: skip
def test_damaged_parts(tmp_path, tensors):
    refused(save(tmp_path / "x.safetensors", tensors), "damaged")


def test_one_layer_by_two_names_is_added_twice_only_if_the_names_differ(tmp_path):
    """Two adapters of one layer add up; two tensors that claim the same part are refused."""
    double = {f"{QKV}.lora_down.weight": DOWN, **GOOD}
    refused(save(tmp_path / "x.safetensors", double), "damaged: .* and .* are the same part")


def test_whole_numbers(tmp_path):
    whole = {name: array.astype(np.int64) for name, array in GOOD.items()}
    refused(save(tmp_path / "x.safetensors", whole), "I64")


def test_nothing_is_read_before_the_names_fit(tmp_path, monkeypatch):
    path = save(tmp_path / "x.safetensors", {"odd": DOWN})
    monkeypatch.setattr(lora_files, "_Tensors", None)
    refused(path, "odd")


def test_factors_whose_product_fits_in_no_memory(tmp_path):
    """12 kB of factors whose product is 36 MB here, and whose larger relatives ended the process."""
    factors = {"w1_a": mx.zeros((3000, 1)), "w1_b": mx.zeros((1, 3000)), "w2": mx.zeros((64, 32))}
    save(tmp_path / "x.safetensors", {f"{QKV}.lokr_{name}": array for name, array in factors.items()})
    words = "another size: .* has 96000 inputs and 192000 outputs"
    assert peak_of_mlx(lambda: refused(tmp_path / "x.safetensors", words)) < 2**24


def test_a_rank_beyond_the_layer(tmp_path):
    save(tmp_path / "x.safetensors", peft(QKV, *low_rank(0, 192, 64, rank=2000)))
    refused(tmp_path / "x.safetensors", "too large for this model")


def write_sparse(path, shapes):
    """A safetensors file of zeros that takes no room on the disk."""
    listed, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * int(np.prod(shape))
        listed[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    head = json.dumps(listed).encode()
    with path.open("wb") as stream:
        stream.write(len(head).to_bytes(8, "little") + head)
        stream.truncate(8 + len(head) + end)


WIDE = {"a.lora_A.weight": (40_000, 4_000), "a.lora_B.weight": (4_000, 40_000)}


@pytest.mark.parametrize("shapes", [{"double_blocks.0.img_attn.qkv.weight": (50_000, 50_000)}, WIDE])
def test_ten_gigabytes_are_refused_by_their_header(tmp_path, shapes, monkeypatch):
    from app.pictures import inputs

    monkeypatch.setattr(inputs, "sha256_of", lambda path: pytest.fail("it was hashed"))
    write_sparse(tmp_path / "big.safetensors", shapes)
    with pytest.raises(RequestError, match="LoRA"):
        inputs.load_lora(str(tmp_path / "big.safetensors"))
    with pytest.raises(RequestError, match="LoRA"):
        inputs.reload_lora(Lora(str(tmp_path / "big.safetensors"), 1.0, "a" * 64), tmp_path / "x.png")


PAGES = {
    "web page": "<!DOCTYPE html>\n<html><body>Log in</body></html>",
    "Git LFS": "version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("what", PAGES)
def test_what_a_download_left_instead_of_a_lora_is_called_that(what, tmp_path, monkeypatch):
    """Before it was damaged, and downloading it again fetched the same page."""
    from app.models import loras
    from app.pictures import inputs
    from converters.formats.files import check_kind

    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    file = tmp_path / "style.safetensors"
    file.write_text(PAGES[what])
    for opening in (lambda: inputs.load_lora(f"{file}:0.8"), lambda: loras.add(file), lambda: check_kind(file)):
        with pytest.raises(FluxLocalError, match=what) as caught:
            opening()
        assert str(caught.value.hint)


def hollow(file, shapes):
    """A sparse file with these tensors, all zeros."""
    table, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape, dtype=object))
        table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(table).encode()
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + end)
    return file


@pytest.mark.sweep
@pytest.mark.parametrize("shapes", [
    {"a.lora_A.weight": [3 * 10**9]},
    {f"b{number}.lora_A.weight": [0] for number in range(30_000)},
], ids=["12 GB", "30,000 names"])  # fmt: skip
def test_a_lora_that_can_be_none_is_refused_by_its_header(shapes, tmp_path, monkeypatch):
    """Before, the one was hashed for a minute, and the other's names took `lora list` a minute each time."""
    from app.models import loras
    from app.pictures import inputs

    monkeypatch.setenv("FLUX_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(inputs, "_hash", None)
    monkeypatch.setattr(loras, "sha256_of", None)
    file = hollow(tmp_path / "style.safetensors", shapes)
    with pytest.raises(RequestError, match="can't be a LoRA"):
        inputs.load_lora(str(file))
    with pytest.raises(LayoutError, match="can't be a LoRA"):
        loras.add(file)
