"""The FLUX.3 image transformer: klein (a flow map, told where each step goes) and klein base.

Source: diffusers 0.42 models/transformers/transformer_flux3.py; module names are the black-forest-labs checkpoint's.
Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h hidden width,
H heads, D head width, C latent channels. Token order is always [text, image, references].
"""

from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ..sizes import check_heads
from .flux2 import TIME_FEATURES, Rope
from .ops import (
    LastLayer,
    MLPEmbedder,
    Modulation,
    QKNorm,
    SiLUGate,
    attention,
    joined,
    modulate,
    rope_angles,
    rotate_pairs,
    split_heads,
    timestep_features,
)

IMAGE, REFERENCES, TEXT = "image", "image_cond", "txt"  # the token modes, as the checkpoint calls them


@dataclass(frozen=True)
class Params:
    """Sizes of one FLUX.3 image transformer; `flow_map`: it takes the time each step goes to (klein)."""

    hidden_size: int
    num_heads: int
    depth: int  # blocks of each mode alone
    depth_single_blocks: int  # blocks of all modes together
    context_in_dim: int
    in_channels: int = 128
    axes_dim: tuple[int, ...] = (32, 32, 32, 32)
    theta: float = 10000.0
    mlp_ratio: float = 3.0
    flow_map: bool = False

    def __post_init__(self):
        check_heads(self.hidden_size, self.num_heads, self.axes_dim)

    @property
    def mlp_width(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h); base: after its own blocks
    references: mx.array | None  # (B, R, h); base: after their own blocks
    rope: Rope  # (L, D/2) each


class Block(nn.Module):
    """Attention and feed-forward side by side, both from one modulated input: of one mode or of all together."""

    def __init__(self, p: Params):
        super().__init__()
        self.heads = p.num_heads
        for name in ("q_proj", "k_proj", "v_proj", "attn_out"):
            self[name] = nn.Linear(p.hidden_size, p.hidden_size, bias=False)
        self.norm = QKNorm(p.hidden_size // p.num_heads)
        self.mlp_in = nn.Linear(p.hidden_size, 2 * p.mlp_width, bias=False)
        self.mlp_act = SiLUGate()
        self.mlp_out = nn.Linear(p.mlp_width, p.hidden_size, bias=False)

    def __call__(self, streams: list, mods: list, rope: Rope) -> list:
        """Streams (B, L_i, h), each with its (shift, scale, gate), attend to all of them; rope covers them in order."""
        dtype = self.norm.query_norm.scale.dtype
        parts = [modulate(x, shift, scale).astype(dtype) for x, (shift, scale, _) in zip(streams, mods, strict=True)]
        y = mx.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        # In float16 the feed-forward is float32, as are the streams from there on: they carry its 3e5.
        y = self._attend(y, rope) + self._feed_forward(y)
        ends = np.cumsum([x.shape[1] for x in streams])[:-1].tolist()
        parts = mx.split(y, ends, axis=1)
        return [x + gate * part for x, (_, _, gate), part in zip(streams, mods, parts, strict=True)]

    def _feed_forward(self, x):
        return joined(self.mlp_out(self.mlp_act(self.mlp_in(x))))

    def _attend(self, x, rope: Rope):
        q, k, v = (split_heads(self[name](x), self.heads) for name in ("q_proj", "k_proj", "v_proj"))
        # Norm and rotation in float32 with one cast back, as the reference: the second cast would cost accuracy.
        q, k = self.norm(q.astype(mx.float32), k.astype(mx.float32))
        q, k = (rotate_pairs(y, *rope).astype(v.dtype) for y in (q, k))
        return self.attn_out(attention(q, k, v))


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params):
        super().__init__()
        self.params = p
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        if p.flow_map:
            self.ref_time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        modes = (IMAGE, REFERENCES, TEXT)
        self.early_stream_modulations = {mode: Modulation(p.hidden_size, 3, bias=False) for mode in modes}
        self.single_stream_modulations = {mode: Modulation(p.hidden_size, 3, bias=False) for mode in modes}
        self.emb_in = {mode: nn.Linear(p.in_channels, p.hidden_size, bias=False) for mode in (IMAGE, REFERENCES)}
        self.txt_in = nn.Linear(p.context_in_dim, p.hidden_size, bias=False)
        self.content_mode_blocks = {mode: [Block(p) for _ in range(p.depth)] for mode in (IMAGE, REFERENCES)}
        self.txt_mode_blocks = [Block(p) for _ in range(p.depth)]
        self.single_blocks = [Block(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = {IMAGE: LastLayer(p.hidden_size, p.in_channels, bias=False)}

    @property
    def dtype(self) -> mx.Dtype:
        return self.single_blocks[0].norm.query_norm.scale.dtype

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 4) of [text, image, references] -> the tables that `condition` takes."""
        return rope_angles(ids, self.params.axes_dim, self.params.theta)

    def time_features(self, times) -> mx.array:
        """(n,) times -> (n, 256). Time, and 1000 times it, are rounded to the network's dtype as the reference does."""
        rounded = (mx.array(np.asarray(times, np.float32)).astype(self.dtype) * 1000).astype(mx.float32)
        return timestep_features(np.array(rounded), TIME_FEATURES, scale=1.0)

    def condition(self, context, rope: Rope, references=None) -> Condition:
        """Embed text (B, T, context_in_dim) and reference latents (B, R, C), once per run.

        Base: also their own blocks, which depend on nothing else. A flow map adds the target time there too.
        """
        embedded = None if references is None else self.emb_in[REFERENCES](references)
        condition = Condition(self.txt_in(context), embedded, rope)
        return condition if self.params.flow_map else self._early(condition, self._vector([0.0], None))

    def __call__(self, latents, time_features, condition: Condition, target_features=None):
        """(B, N, C) latents at one time -> (B, N, C) velocity d latents / d t (t = 1 is noise).

        `target_features` are those of the time that the step goes to: for flow maps, and only for them.
        """
        if (target_features is not None) != self.params.flow_map:
            raise ValueError("A target time is needed by a flow map, and by no other model.")
        vec, still = self._vector(time_features, target_features), self._vector([0.0], target_features)
        if self.params.flow_map:
            condition = self._early(condition, still)
        text, references, rope = condition
        image, length = self.emb_in[IMAGE](latents.astype(self.dtype)), text.shape[1]
        rows = slice(length, length + latents.shape[1])
        image = self._alone(self.content_mode_blocks[IMAGE], IMAGE, image, vec, _part(rope, rows))
        streams, mods = [text, image], [self._mod(TEXT, still), self._mod(IMAGE, vec)]
        if references is not None:
            streams, mods = [*streams, references], [*mods, self._mod(REFERENCES, still)]
        for block in self.single_blocks:
            streams = block(streams, mods, rope)
        return self.final_layer[IMAGE](streams[1], vec).astype(self.dtype)

    def _vector(self, time, target_features):
        """SiLU of the conditioning (B, 1, h); `time`: features, or a list of times."""
        features = timestep_features(time) if isinstance(time, list) else time
        vec = self.time_in(features.astype(self.dtype))
        if target_features is not None:
            vec = vec + self.ref_time_in(target_features.astype(self.dtype))
        return nn.silu(vec)[:, None]

    def _mod(self, mode: str, vec):
        return self.single_stream_modulations[mode](vec)

    def _early(self, condition: Condition, vec) -> Condition:
        """Text and references after the blocks in which each sees only itself, at time 0."""
        text, references, rope = condition
        text = self._alone(self.txt_mode_blocks, TEXT, text, vec, _part(rope, slice(text.shape[1])))
        if references is not None:
            own = _part(rope, slice(rope[0].shape[0] - references.shape[1], None))
            references = self._alone(self.content_mode_blocks[REFERENCES], REFERENCES, references, vec, own)
        return Condition(text, references, rope)

    def _alone(self, blocks, mode: str, x, vec, rope: Rope):
        mod = self.early_stream_modulations[mode](vec)
        for block in blocks:
            (x,) = block([x], [mod], rope)
        return x


def _part(rope: Rope, rows: slice) -> Rope:
    return rope[0][rows], rope[1][rows]
