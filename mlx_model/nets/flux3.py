"""The FLUX.3 image transformer: klein (a flow map, told where each step goes) and klein base.

Source: diffusers 0.42 models/transformers/transformer_flux3.py; module names are the black-forest-labs checkpoint's.
Axis letters: B batch, T text tokens, N image tokens, R reference tokens, L = T + N + R, h hidden width,
H heads, D head width, C latent channels. Token order is always [text, image, references].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import ArrayLike

from ..foreign import check_heads
from .flux2 import ALL, TIME_FEATURES
from .joined import Joined
from .ops import (
    LastLayer,
    Layer,
    MLPEmbedder,
    Modulation,
    ModulationOut,
    QKNorm,
    Rope,
    SiLUGate,
    Walk,
    add_times,
    attention,
    finish,
    from_parts,
    modulate,
    rope_factors,
    rotate_pairs,
    run_rows,
    silu,
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

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_heads, self.axes_dim)

    @property
    def mlp_width(self) -> int:
        return int(self.hidden_size * self.mlp_ratio)


class Condition(NamedTuple):
    """What stays the same over all steps of one run; made by Transformer.condition."""

    text: mx.array  # (B, T, h); base: after its own blocks
    references: mx.array | None  # (B, R, h); base: after their own blocks
    rope: Rope  # (L, D/2)


class Steering(NamedTuple):
    """What a time, and the one that the step goes to, do to the blocks; made by Transformer.steer."""

    early: dict[str, list[ModulationOut]]  # by mode, for the blocks of that mode alone
    joint: dict[str, ModulationOut]
    last: tuple[mx.array, mx.array]  # shift and 1 + scale


class Block(nn.Module):
    """Attention and feed-forward side by side, both from one modulated input: of one mode or of all together."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.heads, h = p.num_heads, p.hidden_size
        self.q_proj: Layer = nn.Linear(h, h, bias=False)
        self.k_proj: Layer = nn.Linear(h, h, bias=False)
        self.v_proj: Layer = nn.Linear(h, h, bias=False)
        self.attn_out: Layer = nn.Linear(h, h, bias=False)
        self.norm = QKNorm(h // p.num_heads)
        self.mlp_in: Layer = nn.Linear(h, 2 * p.mlp_width, bias=False)
        self.mlp_act = SiLUGate()
        self.mlp_out: Layer = nn.Linear(p.mlp_width, h, bias=False)
        self._joined = Joined()

    def __call__(self, streams: list[mx.array], mods: list[ModulationOut], rope: Rope) -> list[mx.array]:
        """Streams (B, L_i, h), each with its modulation, attend to all of them; rope covers them in order."""
        x = self._modulate(streams, mods)
        ends = np.cumsum([stream.shape[1] for stream in streams])[:-1].tolist()
        attended = mx.split(self._attend(x, x, rope, ALL), ends, axis=1)  # (B, L, h) -> (B, L_i, h) each
        # In float16 the feed-forward is float32, as are the streams from there on: they carry its 3e5.
        fed = mx.split(self.feed_forward(x), ends, axis=1)
        parts = zip(streams, mods, attended, fed, strict=True)
        return [add_times(stream, mod.gate, *more) for stream, mod, *more in parts]

    def run_last(self, streams: list[mx.array], mods: list[ModulationOut], rope: Rope) -> mx.array:
        """The second stream alone, the image's: of the others only keys and values are needed."""
        x, first = self._modulate(streams, mods), streams[0].shape[1]
        image = slice(first, first + streams[1].shape[1])
        own = x[:, image]
        return add_times(streams[1], mods[1].gate, self._attend(own, x, rope, image), self.feed_forward(own))

    def _modulate(self, streams: list[mx.array], mods: list[ModulationOut]) -> mx.array:
        """All streams in one, (B, L, h)."""
        dtype = self.norm.query_norm.scale.dtype
        modulated = [modulate(x, m.shift, m.factor).astype(dtype) for x, m in zip(streams, mods, strict=True)]
        return mx.concatenate(modulated, axis=1) if len(modulated) > 1 else modulated[0]

    def feed_forward(self, x: mx.array) -> mx.array:
        """(B, L, h) -> (B, L, h), in float32 where x is float16."""
        return from_parts(self.mlp_out(self.mlp_act(self.mlp_in(x))))

    def _attend(self, own: mx.array, x: mx.array, rope: Rope, asking: slice) -> mx.array:
        """`own` (B, N, h) are the tokens `asking` of x (B, L, h)."""
        q, k, v = (split_heads(y, self.heads) for y in self._project(own, x))  # (B, N, h) -> (B, H, N, D)
        # Norm and rotation in float32 with one cast back, as the reference: the second cast would cost accuracy.
        q, k = self.norm(q.astype(mx.float32), k.astype(mx.float32))
        q, k = (rotate_pairs(y, own_rope).astype(v.dtype) for y, own_rope in ((q, rope[asking]), (k, rope)))
        return self.attn_out(attention(q, k, v))

    def _project(self, own: mx.array, x: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        """Queries of `own` (B, N, h), keys and values of x (B, L, h), by one product where both are the same tokens."""
        joined, h = self._joined.find(self._seeing), x.shape[-1]
        if joined is None:
            return self.q_proj(own), self.k_proj(x), self.v_proj(x)
        if own is not x:
            return (run_rows(joined, own, 0, h), *mx.split(run_rows(joined, x, h, None), 2, axis=-1))
        q, k, v = mx.split(joined(x), 3, axis=-1)
        return q, k, v

    @property
    def _seeing(self) -> tuple[Layer, Layer, Layer]:
        return self.q_proj, self.k_proj, self.v_proj

    def join(self) -> None:
        """Keep the matrix of that product, of which those of the layers become parts."""
        self._joined.keep(self._seeing)


class Transformer(nn.Module):
    """Velocity of the latents: called once per step with what `condition` prepared once per run."""

    def __init__(self, p: Params) -> None:
        super().__init__()
        self.params = p
        self.time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        if p.flow_map:
            self.ref_time_in = MLPEmbedder(TIME_FEATURES, p.hidden_size, bias=False)
        modes = (IMAGE, REFERENCES, TEXT)
        self.early_stream_modulations = {mode: Modulation(p.hidden_size, 1, bias=False) for mode in modes}
        self.single_stream_modulations = {mode: Modulation(p.hidden_size, 1, bias=False) for mode in modes}
        self.emb_in: dict[str, Layer] = {
            mode: nn.Linear(p.in_channels, p.hidden_size, bias=False) for mode in (IMAGE, REFERENCES)
        }
        self.txt_in: Layer = nn.Linear(p.context_in_dim, p.hidden_size, bias=False)
        self.content_mode_blocks = {mode: [Block(p) for _ in range(p.depth)] for mode in (IMAGE, REFERENCES)}
        self.txt_mode_blocks = [Block(p) for _ in range(p.depth)]
        self.single_blocks = [Block(p) for _ in range(p.depth_single_blocks)]
        self.final_layer = {IMAGE: LastLayer(p.hidden_size, p.in_channels, bias=False)}

    @property
    def dtype(self) -> mx.Dtype:
        return self.single_blocks[0].norm.query_norm.scale.dtype

    def join(self) -> None:
        """Once the weights are there: what all blocks multiply in one product, for as long as the weights stay."""
        for block in self.modules():
            if isinstance(block, Block):
                block.join()

    def rope(self, ids: np.ndarray) -> Rope:
        """Position ids (L, 4) of [text, image, references] -> the tables that `condition` takes."""
        return rope_factors(ids, self.params.axes_dim, self.params.theta)

    def time_features(self, times: ArrayLike) -> mx.array:
        """(n,) times -> (n, 256). Time, and 1000 times it, are rounded to the network's dtype as the reference does."""
        rounded = (mx.array(np.asarray(times, np.float32)).astype(self.dtype) * 1000).astype(mx.float32)
        return timestep_features(np.array(rounded), TIME_FEATURES, scale=1.0)

    def condition(
        self, context: mx.array, rope: Rope, references: mx.array | None = None, beside: Condition | None = None
    ) -> Condition:
        """Embed text (B, T, context_in_dim) and reference latents (B, R, C), once per run.

        Base: also their own blocks, which depend on nothing else. A flow map adds the target time there too. `beside`:
        of another prompt with the same references, which are taken from there.
        """
        embedded = None if references is None else self.emb_in[REFERENCES](references)
        condition = Condition(self.txt_in(context), None if beside else embedded, rope)
        if not self.params.flow_map:
            condition = self._run_early(condition, self._steer_early((TEXT, REFERENCES), self._still()))
        return condition._replace(references=beside.references) if beside else condition

    def __call__(
        self,
        latents: mx.array,
        time_features: mx.array,
        condition: Condition,
        target_features: mx.array | None = None,
    ) -> mx.array:
        """(B, N, C) latents at one time -> (B, N, C) velocity d latents / d t (t = 1 is noise).

        `target_features` are those of the time that the step goes to: for flow maps, and only for them.
        """
        steering = self.steer(time_features, target_features)
        return finish(self.walk(self.begin(latents, steering, condition), steering, condition))[0]

    def steer(self, time_features: mx.array, target_features: mx.array | None = None) -> Steering:
        """All that a time, and the one that the step goes to, do to the blocks. It depends on nothing else."""
        if (target_features is not None) != self.params.flow_map:
            raise ValueError("A target time is needed by a flow map, and by no other model.")
        vec, still = self._vector(time_features, target_features), self._still(target_features)
        vectors = {IMAGE: vec, REFERENCES: still, TEXT: still}  # no time passes in what is not being made
        early = self._steer_early((IMAGE,), vec)
        if self.params.flow_map:
            early |= self._steer_early((TEXT, REFERENCES), still)
        joint = {mode: self.single_stream_modulations[mode](own)[0] for mode, own in vectors.items()}
        return Steering(early, joint, self.final_layer[IMAGE].steer(vec))

    def begin(self, latents: mx.array, steering: Steering, condition: Condition) -> mx.array:
        """(B, N, C) -> the image (B, N, h) after the blocks in which it sees only itself: the same for each prompt."""
        image, length = self.emb_in[IMAGE](latents.astype(self.dtype)), condition.text.shape[1]
        own = condition.rope[length : length + latents.shape[1]]
        return self._run_alone(self.content_mode_blocks[IMAGE], image, steering.early[IMAGE], own)

    def walk(self, image: mx.array, steering: Steering, condition: Condition) -> Walk:
        """What `begin` made of the latents -> their velocity (B, N, C)."""
        blocks = self._run_joint(image, steering, condition)
        return Walk(image, blocks, lambda x: self.final_layer[IMAGE](x, steering.last).astype(self.dtype))

    def _run_joint(self, image: mx.array, steering: Steering, condition: Condition) -> Iterator[mx.array]:
        """The image (B, N, h) after every block of all together."""
        if self.params.flow_map:
            condition = self._run_early(condition, steering.early)
        text, references, rope = condition
        streams, mods = [text, image], [steering.joint[TEXT], steering.joint[IMAGE]]
        if references is not None:
            streams, mods = [*streams, references], [*mods, steering.joint[REFERENCES]]
        for block in self.single_blocks[:-1]:
            streams = block(streams, mods, rope)
            yield streams[1]
        yield self.single_blocks[-1].run_last(streams, mods, rope)

    def _still(self, target_features: mx.array | None = None) -> mx.array:
        return self._vector(timestep_features([0.0]), target_features)

    def _vector(self, time_features: mx.array, target_features: mx.array | None = None) -> mx.array:
        """(1 or B, 256) -> SiLU of the conditioning (B, 1, h)."""
        vec = self.time_in(time_features.astype(self.dtype))
        if target_features is not None:
            vec = vec + self.ref_time_in(target_features.astype(self.dtype))
        return silu(vec)[:, None]

    def _steer_early(self, modes: tuple[str, ...], vec: mx.array) -> dict[str, list[ModulationOut]]:
        return {mode: self.early_stream_modulations[mode](vec) for mode in modes}

    def _run_early(self, condition: Condition, mods: dict[str, list[ModulationOut]]) -> Condition:
        """Text and references after the blocks in which each sees only itself, at time 0."""
        text, references, rope = condition
        text = self._run_alone(self.txt_mode_blocks, text, mods[TEXT], rope[: text.shape[1]])
        if references is not None:
            own = rope[rope.shape[0] - references.shape[1] :]
            references = self._run_alone(self.content_mode_blocks[REFERENCES], references, mods[REFERENCES], own)
        return Condition(text, references, rope)

    def _run_alone(self, blocks: list[Block], x: mx.array, mods: list[ModulationOut], rope: Rope) -> mx.array:
        for block in blocks:
            (x,) = block([x], mods, rope)
        return x
