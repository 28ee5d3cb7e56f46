"""GGUF files, written by the package of llama.cpp: every type, the names and orders of encoders, files that lie."""

import shutil
import struct

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize
from mlx.utils import tree_flatten

from converters.convert import convert
from converters.formats import files, gguf_file
from converters.keys import text as keys_text
from converters.keys.rules import apply
from converters.parts import open_file
from mlx_model.errors import ConvertError, FluxLocalError, UnsafeFile
from mlx_model.nets import text_mistral3
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import build, open_component
from tests.converters.tiny import TINY, checkpoint, published, save, weights
from tests.golden import recipe_weights

FORM = GGMLQuantizationType


def is_decoded(form):
    try:
        dequantize(np.zeros((1, GGML_QUANT_SIZES[form][1]), np.uint8), form)
    except NotImplementedError:
        return False
    return True


TYPES = [form for form in FORM if form not in (FORM.F32, FORM.F16) and is_decoded(form)]
LLAMA = {  # by llama.cpp's own table, whose names the tests spell out once more
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
T5 = {
    "layer.0.layer_norm": "attn_norm", "layer.0.SelfAttention.q": "attn_q", "layer.0.SelfAttention.k": "attn_k",
    "layer.0.SelfAttention.v": "attn_v", "layer.0.SelfAttention.o": "attn_o", "layer.1.layer_norm": "ffn_norm",
    "layer.0.SelfAttention.relative_attention_bias": "attn_rel_b", "layer.1.DenseReluDense.wi_0": "ffn_gate",
    "layer.1.DenseReluDense.wi_1": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down",
}  # fmt: skip


def write(file, arch, arrays, form=FORM.F32, change=None):
    """By llama.cpp's writer; matrices that `form` fits are stored in it. -> what the file holds, decoded."""
    file.parent.mkdir(parents=True, exist_ok=True)
    writer, exact = GGUFWriter(str(file), arch), {}
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, np.float32)
        exact[name] = array
        if array.ndim == 2 and array.shape[1] % GGML_QUANT_SIZES[form][0] == 0 and form != FORM.F32:
            data = quantize(array, form)
            exact[name] = dequantize(data, form).reshape(array.shape)
            writer.add_tensor(name, data, raw_dtype=form)
        else:
            writer.add_tensor(name, array)
    if change:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return exact


def made(source, out):
    list(convert(source, out, bits=32))
    return open_folder(out)


def holds(folder, role, exact):
    module = open_component(folder, role, mx.float32)
    for name, array in tree_flatten(module.parameters()):
        assert np.array_equal(np.array(array), exact[name]), name
    return module


@pytest.mark.first_case
@pytest.mark.parametrize("form", TYPES, ids=lambda form: form.name)
def test_every_type(tmp_path, form):
    """Random blocks, those that stand for no finite numbers left out, against the whole tensor decoded at once."""
    block, size = GGML_QUANT_SIZES[form]
    raw = np.random.default_rng(0).integers(0, 256, (4000, size), np.uint8)
    with np.errstate(all="ignore"):
        sound = raw[np.isfinite(dequantize(raw, form)).all(1)][:96]
    rows = sound.reshape(8, -1)
    writer = GGUFWriter(str(tmp_path / "x.gguf"), "flux")
    writer.add_tensor("a.weight", rows, raw_dtype=form)
    writer.add_tensor("b.weight", rows[::-1].copy(), raw_dtype=form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    arrays = files.load_file(tmp_path / "x.gguf")
    assert arrays["a.weight"].shape == (8, rows.shape[1] // size * block)
    assert np.array_equal(np.array(arrays["a.weight"].astype(mx.float32)), dequantize(rows, form))
    assert np.array_equal(np.array(arrays["b.weight"].astype(mx.float32)), dequantize(rows, form)[::-1])


def test_a_tensor_is_decoded_in_pieces(tmp_path, monkeypatch):
    array = np.random.default_rng(1).normal(size=(64, 128)).astype(np.float32)
    exact = write(tmp_path / "x.gguf", "flux", {"a.weight": array, "norm": array[0]}, FORM.Q5_1)
    monkeypatch.setattr(gguf_file, "CHUNK", 100)
    arrays = files.load_file(tmp_path / "x.gguf")
    assert {name: np.array_equal(np.array(x), exact[name]) for name, x in arrays.items()} == dict.fromkeys(exact, True)


@pytest.mark.first_case
@pytest.mark.parametrize("model", ["flux1-dev", "flux2-klein-4b", "flux3-image-klein"])
@pytest.mark.parametrize("form", [FORM.F32, FORM.Q8_0, FORM.Q4_0], ids=lambda form: form.name)
def test_transformers(tmp_path, model, form):
    tiny = TINY[model]
    file = checkpoint(tiny, tmp_path / "source")
    file.unlink()
    exact = write(file.with_suffix(".gguf"), "flux", published(tiny, "transformer"), form)
    module = holds(made(file.with_suffix(".gguf"), tmp_path / "out"), "transformer", exact)
    assert module.params == tiny.parts["transformer"][0]


def test_behind_a_prefix_and_bent_to_blocks(tmp_path):
    """stable-diffusion.cpp keeps ComfyUI's prefix; city96's converter notes the shape that it has changed."""
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source").with_suffix(".gguf")
    arrays = {f"model.diffusion_model.{name}": x for name, x in published(tiny, "transformer").items()}
    name = "model.diffusion_model.double_blocks.0.img_mlp.0.weight"
    shape = arrays[name].shape
    bent = {**arrays, name: arrays[name].reshape(-1, 256)}
    write(file, "flux", bent, change=lambda w: w.add_array(f"comfy.gguf.orig_shape.{name}", [int(n) for n in shape]))
    file.with_suffix(".safetensors").unlink()
    holds(made(file, tmp_path / "out"), "transformer", weights(tiny, "transformer"))


def beside(tmp_path, model, arch, arrays, form, change=None):
    """A model whose text encoder is a GGUF file among the others; what its tensors stand for by the file's names."""
    tiny = TINY[model]
    file = checkpoint(tiny, tmp_path / "source")
    shutil.rmtree(file.parent / tiny.parts["text_encoder"][2])
    exact = write(file.parent / "encoder-Q8_0.gguf", arch, arrays, form, change)
    return made(file, tmp_path / "out"), exact


@pytest.mark.first_case
@pytest.mark.parametrize("form", [FORM.F32, FORM.BF16, FORM.Q8_0], ids=lambda form: form.name)
def test_t5(tmp_path, form):
    own = weights(TINY["flux1-dev"], "text_encoder")
    names = {"shared.weight": "token_embd.weight", "encoder.final_layer_norm.weight": "enc.output_norm.weight"}
    for name in own.keys() - names.keys():
        _, _, number, rest = name.split(".", 3)
        names[name] = f"enc.blk.{number}.{T5[rest.removesuffix('.weight')]}.weight"
    arrays = {names[name]: array for name, array in own.items()}
    folder, exact = beside(tmp_path, "flux1-dev", "t5encoder", arrays, form)
    holds(folder, "text_encoder", {name: exact[names[name]] for name in own})


def name_layers(own):
    """llama.cpp's names of a decoder's tensors."""
    names = {"embed_tokens.weight": "token_embd.weight"}
    for name in own.keys() - names.keys():
        _, number, rest = name.split(".", 2)
        names[name] = f"blk.{number}.{LLAMA[rest.removesuffix('.weight')]}.weight"
    return names


@pytest.mark.first_case
@pytest.mark.parametrize(("model", "arch"), [("flux2-klein-4b", "qwen3"), ("flux3-image-klein", "qwen3vl")])
def test_qwen3(tmp_path, model, arch):
    """Its rows lie as transformers has them. The layers after the last that is used are left out."""
    own = weights(TINY[model], "text_encoder")
    names, last = name_layers(own), max(TINY[model].parts["text_encoder"][0].out_layers)
    arrays = {names[name]: array for name, array in own.items()}
    arrays |= {n.replace("blk.0.", f"blk.{last}."): x for n, x in arrays.items() if n.startswith("blk.0.")}
    arrays |= {"output_norm.weight": np.ones(32), "output.weight": np.ones((96, 32))}

    def change(writer):
        writer.add_rope_freq_base(2e6)
        writer.add_layer_norm_rms_eps(1e-6)

    folder, exact = beside(tmp_path, model, arch, arrays, FORM.Q8_0, change)
    module = holds(folder, "text_encoder", {name: exact[names[name]] for name in own})
    assert (module.params.rope_theta, module.params.rms_norm_eps) == (2e6, 1e-6)


@pytest.mark.parametrize("arch", ["llama", "mistral3"])
def test_mistral(tmp_path, arch):
    """llama.cpp interleaves the two halves of each head of q and k; here as its converter writes it."""
    params = text_mistral3.Params(32, 64, 4, 2, 8, (1, 2, 3), vocab_size=96)
    shapes = {n: tuple(x.shape) for n, x in tree_flatten(build("text_encoder", "text_mistral3", params).parameters())}
    own = recipe_weights(shapes)
    names, arrays = name_layers(own), {}
    for name, array in own.items():
        heads = {"q_proj": 4, "k_proj": 2}.get(name.split(".")[-2])
        turned = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape) if heads else array
        arrays[names[name]] = turned

    def change(writer):
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        writer.add_key_length(8)

    write(tmp_path / "x.gguf", arch, arrays, change=change)
    part = open_file(tmp_path / "x.gguf")
    assert (part.layout.family, part.config["head_dim"]) == ("text_mistral3", 8)
    found = apply(part.layout.rules({}), part.load_arrays(tmp_path))
    assert found.keys() == own.keys()
    for name, array in own.items():
        assert np.array_equal(np.array(found[name]), array), name
    sizes = keys_text.read_sizes({n: tuple(x.shape) for n, x in found.items()}, part.config, (9, 18, 27), 96)
    assert (sizes["num_attention_heads"], sizes["num_key_value_heads"], sizes["head_dim"]) == (4, 2, 8)


def test_a_safetensors_file_comes_before_its_gguf(tmp_path):
    tiny = TINY["flux2-klein-4b"]
    file = checkpoint(tiny, tmp_path / "source")
    place = file.parent / "transformer"
    save(place / "model.safetensors", published(tiny, "transformer"))
    file.unlink()
    write(place / "model-Q4_0.gguf", "flux", published(tiny, "transformer"), FORM.Q4_0)
    list(convert(file.parent, tmp_path / "out", "flux2-klein-4b", bits=32))
    holds(open_folder(tmp_path / "out"), "transformer", weights(tiny, "transformer"))


def text(word: str) -> bytes:
    return struct.pack("<Q", len(word)) + word.encode()


def raw(tensors=b"", count=1, fields=b"", number=0, version=3, data=64) -> bytes:
    start = b"GGUF" + struct.pack("<IQQ", version, count, number) + fields + tensors
    return start + bytes(-len(start) % 32 + data)


def info(name="a", sides=(4, 4), form=0, offset=0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sides)}QIQ", len(sides), *sides, form, offset)


LIES = {
    "not one": b"GGML" + bytes(60), "short": b"GGUF", "old": raw(version=1), "swapped": raw(version=3 << 24),
    "tensors": raw(count=2**40), "fields": raw(number=2**50), "name": raw(struct.pack("<Q", 2**60)),
    "long name": raw(info("a" * 5000)), "dimensions": raw(text("a") + struct.pack("<I", 2**31)),
    "outside": raw(info(sides=(400, 400))), "offset": raw(info(offset=2**63)), "unaligned": raw(info(offset=7)),
    "huge": raw(info(sides=(2**62, 2**62))), "zero by much": raw(info(sides=(2**63, 2))), "type": raw(info(form=999)),
    "blocks": raw(info(sides=(4, 4), form=8)), "whole numbers": raw(info(form=26)), "Q8_K": raw(info(form=15)),
    "twice": raw(info() + info(), 2, data=128), "overlap": raw(info() + info("b", offset=32), 2, data=128),
    "list": raw(fields=text("x") + struct.pack("<IIQ", 9, 4, 2**61), number=1),
    "words": raw(fields=text("x") + struct.pack("<IIQ", 9, 8, 2**30), number=1),
    "list of lists": raw(fields=text("x") + struct.pack("<IIQ", 9, 9, 2), number=1),
    "kind": raw(fields=text("x") + struct.pack("<I", 77), number=1),
    "said twice": raw(fields=(text("x") + struct.pack("<IB", 0, 1)) * 2, number=2),
    "alignment": raw(fields=text("general.alignment") + struct.pack("<II", 4, 3), number=1),
    "no alignment": raw(fields=text("general.alignment") + struct.pack("<II", 4, 0), number=1),
    "pieces": raw(fields=text("split.count") + struct.pack("<IH", 2, 3), number=1),
    "shape": raw(info(), fields=text("comfy.gguf.orig_shape.a") + struct.pack("<IIQ2i", 9, 5, 2, 5, 5), number=1),
    "bent": raw(info(), fields=text("comfy.gguf.orig_shape.a") + struct.pack("<IIQ2i", 9, 5, 2, -4, -4), number=1),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.timeout(20)
def test_files_that_lie(tmp_path, lie):
    file = tmp_path / "x.gguf"
    file.write_bytes(LIES[lie])
    with pytest.raises((UnsafeFile, ConvertError)) as error:
        list(convert(file, tmp_path / "out"))
    assert "x.gguf" in error.value.message
    assert not (tmp_path / "out").exists()


def test_every_cut(tmp_path):
    """A download that stopped anywhere in the table or the numbers."""
    write(tmp_path / "x.gguf", "flux", {"a.weight": np.ones((4, 32)), "b": np.ones(4)}, FORM.Q8_0)
    whole = (tmp_path / "x.gguf").read_bytes()
    for end in range(0, len(whole) - 32, 7):
        (tmp_path / "cut.gguf").write_bytes(whole[:end])
        with pytest.raises(UnsafeFile):
            gguf_file.read_table(tmp_path / "cut.gguf")


def test_scales_that_are_infinite_are_refused(tmp_path):
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source").with_suffix(".gguf")
    write(file, "flux", published(tiny, "transformer"), FORM.Q8_0)
    data = bytearray(file.read_bytes())
    table = gguf_file.read_table(file)
    start = next(tensor.start for tensor in table.tensors.values() if tensor.form == FORM.Q8_0)
    data[start : start + 2] = np.float16(np.inf).tobytes()
    file.write_bytes(data)
    file.with_suffix(".safetensors").unlink()
    with pytest.raises(FluxLocalError, match="not finite"):
        made(file, tmp_path / "out")


def test_heads_that_can_t_be(tmp_path):
    write(tmp_path / "x.gguf", "llama", {"blk.0.attn_q.weight": np.ones((6, 4))}, change=lambda w: w.add_head_count(4))
    with pytest.raises(ConvertError, match="of 4 heads"):
        files.load_file(tmp_path / "x.gguf")
