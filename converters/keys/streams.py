"""Rules that the layouts of FLUX.1, FLUX.2 and FLUX.3 share: joined q, k, v, attention of two streams, embedders."""

from .rules import Rule, rename

DOUBLE, THEIR_DOUBLE = "double_blocks.#.", "transformer_blocks.#."  # ours (BFL's), diffusers'
SINGLE, THEIR_SINGLE = "single_blocks.#.", "single_transformer_blocks.#."


def join_qkv(target: str, source: str, *more: str) -> Rule:
    """`target` gets the rows of q, k and v, whose letter `{}` in `source` stands for, and of what comes after them."""
    return Rule(target, (*(source.format(part) for part in "qkv"), *more), "join")


def rename_norms(theirs: str, ours: str, form: str = "norm_{}") -> list[Rule]:
    """The norms of queries and keys."""
    pairs = ("q", "query"), ("k", "key")
    return [rename(f"{theirs}.{form.format(their)}.weight", f"{ours}.{our}_norm.scale") for their, our in pairs]


def rename_attention(kind: str) -> list[Rule]:
    """Of a double block; `kind` of q, k, v: `weight` where they have no bias, else `*`."""
    theirs = THEIR_DOUBLE + "attn"
    return [
        join_qkv(f"{DOUBLE}img_attn.qkv.{kind}", f"{theirs}.to_{{}}.{kind}"),
        join_qkv(f"{DOUBLE}txt_attn.qkv.{kind}", f"{theirs}.add_{{}}_proj.{kind}"),
        *rename_norms(theirs, DOUBLE + "img_attn.norm"),
        *rename_norms(theirs, DOUBLE + "txt_attn.norm", "norm_added_{}"),
        rename(theirs + ".to_out.0.*", DOUBLE + "img_attn.proj.*"),
        rename(theirs + ".to_add_out.*", DOUBLE + "txt_attn.proj.*"),
    ]


def rename_mlps(first: str, last: str) -> list[Rule]:
    """The two feed-forward layers of both streams of a double block."""
    return [
        rename(f"{THEIR_DOUBLE}{theirs}.{layer}.*", f"{DOUBLE}{ours}.{number}.*")
        for theirs, ours in (("ff", "img_mlp"), ("ff_context", "txt_mlp"))
        for layer, number in ((first, 0), (last, 2))
    ]


def rename_embedder(theirs: str, ours: str) -> list[Rule]:
    return [rename(f"{theirs}.linear_{n}.*", f"{ours}.{layer}_layer.*") for n, layer in ((1, "in"), (2, "out"))]


# ComfyUI stores the norms' scales as weights; BFL's own files have no weight of that name.
BFL = [rename("*_norm.weight", "*_norm.scale"), rename("*", "*")]
