"""A tiny random klein written by diffusers converts from every layout, and computes what diffusers computes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

import mlx.core as mx  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402

from converters.convert import convert  # noqa: E402
from mlx_model.events import Done, Note, Step  # noqa: E402
from mlx_model.nets.ops import timestep_features  # noqa: E402
from mlx_model.store.folder import open_folder, verify  # noqa: E402
from mlx_model.store.weights import PackedEmbedding, PackedLinear, open_component  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
LAYERS = (2, 4, 6)


def tiny_transformer():
    return diffusers.Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=192,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )


def tiny_text_encoder():
    config = transformers.Qwen3Config(
        vocab_size=96,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=False,
    )
    return transformers.Qwen3ForCausalLM(config)


def tiny_autoencoder():
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4, **blocks
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    return vae


def tiny_tokenizer():
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", *map(chr, range(35, 126))]
    tokenizer = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, "<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.Qwen2TokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>")


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    return diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=tiny_autoencoder(),
        text_encoder=tiny_text_encoder(),
        tokenizer=tiny_tokenizer(),
        transformer=tiny_transformer(),
        is_distilled=True,
    )


RENAMED = {
    "single_transformer_blocks": "single_blocks",
    "transformer_blocks": "double_blocks",
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "attn.to_out": "linear2",
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "proj_out": "final_layer.linear",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
}


def bfl(state: dict) -> dict:
    """The diffusers names of a transformer turned into BFL's, written independently of the table under test."""
    out = {}
    for name, value in state.items():
        block = name.split(".")[1] if name.startswith("transformer_blocks") else ""
        for side, parts in (("img", ("to_q", "to_k", "to_v")), ("txt", ("add_q_proj", "add_k_proj", "add_v_proj"))):
            if name == f"transformer_blocks.{block}.attn.{parts[0]}.weight":
                stem = f"transformer_blocks.{block}.attn."
                out[f"double_blocks.{block}.{side}_attn.qkv.weight"] = torch.cat(
                    [state[f"{stem}{p}.weight"] for p in parts]
                )
        new = name
        for old, ours in RENAMED.items():
            new = new.replace(old, ours)
        stream = "norm." if name.startswith("single") else "img_attn.norm."
        new = new.replace("attn.norm_q.weight", stream + "query_norm.scale")
        new = new.replace("attn.norm_k.weight", stream + "key_norm.scale")
        if "modulation" in new:
            new = new.replace(".linear.", ".lin.")
        if name == "norm_out.linear.weight":
            new, value = "final_layer.adaLN_modulation.1.weight", torch.cat(value.chunk(2)[::-1])
        if not any(part in name for part in (".to_q.", ".to_k.", ".to_v.", ".add_q_", ".add_k_", ".add_v_")):
            out[new] = value
    return {name: value.contiguous() for name, value in out.items()}


@pytest.fixture(scope="module")
def layouts(pipeline, tmp_path_factory):
    """The same model as a diffusers folder, as small shards with an index, and as a BFL file with its companions."""
    root = tmp_path_factory.mktemp("layouts")
    pipeline.save_pretrained(root / "diffusers")
    pipeline.save_pretrained(root / "sharded", max_shard_size="60KB")
    pipeline.save_pretrained(root / "single")
    for file in (root / "single" / "transformer").iterdir():
        file.unlink()
    (root / "single" / "transformer").rmdir()
    (root / "single" / "model_index.json").unlink()
    save_file(bfl(pipeline.transformer.state_dict()), root / "single" / "flux-2-klein-tiny.SAFETENSORS")
    return {
        "diffusers": root / "diffusers",
        "sharded": root / "sharded",
        "bfl": root / "single" / "flux-2-klein-tiny.SAFETENSORS",
    }


@pytest.fixture(scope="module")
def folders(layouts, tmp_path_factory):
    root = tmp_path_factory.mktemp("converted")
    for name, source in layouts.items():
        events = list(convert(source, root / name, "flux2-klein-4b", bits=32))
        assert isinstance(events[-1], Done)
        assert any(isinstance(event, Note) for event in events)
    return {name: open_folder(root / name) for name in layouts}


def reference_velocity(pipeline, latents, context, ids):
    with torch.no_grad():
        return pipeline.transformer(
            hidden_states=torch.from_numpy(latents),
            encoder_hidden_states=torch.from_numpy(context),
            timestep=torch.tensor([0.7]),
            img_ids=torch.from_numpy(ids[5:]),
            txt_ids=torch.from_numpy(ids[:5]),
            return_dict=False,
        )[0].numpy()


def inputs():
    random = np.random.default_rng(0)
    ids = np.zeros((11, 4), np.int64)
    ids[:5, 3], ids[5:, 1], ids[5:, 2] = np.arange(5), np.arange(6) // 3, np.arange(6) % 3
    return random.standard_normal((1, 6, 16), np.float32), random.standard_normal((1, 5, 192), np.float32), ids


@pytest.mark.parametrize("layout", ["diffusers", "sharded", "bfl"])
def test_transformer(pipeline, folders, layout):
    latents, context, ids = inputs()
    net = open_component(folders[layout], "transformer", mx.float32)
    condition = net.condition(mx.array(context), net.rope(ids))
    ours = np.array(net(mx.array(latents), timestep_features([0.7]), condition))
    theirs = reference_velocity(pipeline, latents, context, ids)
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(theirs).max() > 0.1


@pytest.mark.parametrize("layout", ["diffusers", "sharded", "bfl"])
def test_text_encoder(pipeline, folders, layout):
    ids = np.arange(7)[None]
    with torch.no_grad():
        states = pipeline.text_encoder(torch.from_numpy(ids), output_hidden_states=True).hidden_states
    theirs = torch.cat([states[number] for number in LAYERS], -1).numpy()
    net = open_component(folders[layout], "text_encoder", mx.float32)
    assert net.params.out_layers == LAYERS
    assert len(net.layers) == 6
    ours = np.array(net(mx.array(ids), mx.ones(ids.shape, mx.bool_)))
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("layout", ["diffusers", "sharded", "bfl"])
def test_autoencoder(pipeline, folders, layout):
    latents = np.random.default_rng(1).standard_normal((1, 4, 8, 8), np.float32)
    with torch.no_grad():
        theirs = pipeline.vae.decode(torch.from_numpy(latents)).sample.numpy().transpose(0, 2, 3, 1)
        mean = pipeline.vae.encode(torch.from_numpy(theirs.transpose(0, 3, 1, 2))).latent_dist.mean.numpy()
    net = open_component(folders[layout], "autoencoder", mx.float32)
    ours = np.array(net.decoder(mx.array(latents.transpose(0, 2, 3, 1))))
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(np.array(net.mean(mx.array(theirs))) - mean.transpose(0, 2, 3, 1)).max() < 1e-4
    assert np.allclose(net.bn.running_var, pipeline.vae.bn.running_var.numpy())


def test_layouts_give_the_same_bytes(folders):
    hashes = [{name: facts["sha256"] for name, facts in folder.list_files().items()} for folder in folders.values()]
    assert hashes[0] == hashes[1] == hashes[2]


@pytest.mark.parametrize(("bits", "limit"), [(16, 0.02), (8, 0.03), (6, 0.06), (5, 0.1), (4, 0.2)])
def test_precisions(pipeline, layouts, tmp_path, bits, limit):
    """Relative error of the velocity; packed layers where the plan says so."""
    list(convert(layouts["diffusers"], tmp_path / "m", "flux2-klein-4b", bits=bits))
    folder = open_folder(tmp_path / "m")
    net = open_component(folder, "transformer", mx.float32)
    assert isinstance(net.single_blocks[0].linear1, PackedLinear) == (bits < 16)
    assert not isinstance(net.img_in, PackedLinear)
    text = open_component(folder, "text_encoder", mx.float32)
    assert isinstance(text.embed_tokens, PackedEmbedding) == (bits < 16)
    assert net.final_layer.linear.weight.dtype == mx.float32
    latents, context, ids = inputs()
    ours = np.array(net(mx.array(latents), timestep_features([0.7]), net.condition(mx.array(context), net.rope(ids))))
    theirs = reference_velocity(pipeline, latents, context, ids)
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < limit
    assert isinstance(list(verify(folder))[-1], Done)


def test_companions_from_a_converted_folder(layouts, folders, tmp_path):
    """A lone BFL file takes the rest from a folder that was converted before."""
    lone = tmp_path / "flux-2-klein-4b.safetensors"
    lone.write_bytes(layouts["bfl"].read_bytes())
    events = list(convert(lone, tmp_path / "m", "flux2-klein-4b", bits=32, companions=folders["bfl"].path))
    assert sum(isinstance(event, Step) for event in events) > 50
    made = open_folder(tmp_path / "m")
    for name, facts in made.list_files().items():
        assert folders["bfl"].list_files()[name]["sha256"] == facts["sha256"]


def test_without_a_name(layouts, tmp_path):
    """is_distilled in model_index.json is enough; a size that is nobody's only makes a note."""
    list(convert(layouts["diffusers"], tmp_path / "m"))
    folder = open_folder(tmp_path / "m")
    assert folder.spec.name == "flux2-klein-4b"
    assert folder.licence == "unknown"
    assert folder.spec.transformer["hidden_size"] == 64
