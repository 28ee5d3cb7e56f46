"""Pictures of a run on its way: when one is due, and who draws it, MLX between two steps or another engine beside them.

Axis letters: h w the grid of tokens, C latent channels of a token.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import mlx.core as mx
import numpy as np

from ..events import Preview

log = logging.getLogger(__name__)

# Latents (1, h, w, C) float32 -> (H, W, 3) uint8, in a thread of its own; None for a size that it doesn't draw.
DrawBeside = Callable[[np.ndarray], np.ndarray | None]


Costs = dict[tuple[int, ...], float]  # seconds that the last of a shape took, whoever saved it included


class Previews:
    """Those of one run.

    share: how much they may take of the steps' time, 0 none, inf one after every step; draw: by MLX,
    (1, h, w, C) -> (H, W, 3) uint8; finish: what becomes of such a canvas. With `draw_beside` pictures come a step
    later and cost the steps next to nothing; where it fails, MLX draws. None is begun that would pass the share: by
    `costs`, which the runs of a pipeline share, and by `guess`, in steps, before the first of a size.
    """

    def __init__(
        self,
        share: float,
        draw: Callable[[mx.array], np.ndarray],
        finish: Callable[[np.ndarray], np.ndarray],
        draw_beside: DrawBeside | None = None,
        costs: Costs | None = None,
        guess: float = 0.0,
    ) -> None:
        self.share, self.draw, self.finish, self.draw_beside = share, draw, finish, draw_beside
        self.costs, self.guess = {} if costs is None else costs, guess
        self.began, self.spent = time.perf_counter(), 0.0
        self.pool = ThreadPoolExecutor(1) if share and draw_beside else None
        self.begun: tuple[int, Future[np.ndarray | None]] | None = None

    def after(self, step: int, clean: mx.array, total: int) -> Iterator[Preview]:
        """What can be shown after step `step` of `total`, not the last; `clean` estimates the finished latents."""
        if self.pool:
            yield from self._take_and_give(step, clean)
        start = self._measure()
        each = (start - self.spent) / step
        cost = self.costs.get(clean.shape, self.guess * each)
        if self.share and not self.pool and self.spent + cost <= self.share * each * total:
            yield Preview(step, pixels=self.finish(self.draw(clean)))
            self.costs[clean.shape] = self._measure() - start
            self.spent += self.costs[clean.shape]

    def close(self) -> None:
        """Wait for nothing that nobody will see."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def _measure(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.began

    def _take_and_give(self, step: int, clean: mx.array) -> Iterator[Preview]:
        """The picture that is ready, and the next one on its way; without a pool from where it can't be had on."""
        if self.begun and self.begun[1].done():
            (shown, made), self.begun = self.begun, None
            pixels = _result(made)
            if pixels is None:
                self.close()
                self.pool = None
                return
            yield Preview(shown, pixels=self.finish(pixels))
        if self.begun is None and self.pool and self.draw_beside:
            self.begun = step, self.pool.submit(self.draw_beside, np.array(clean.astype(mx.float32)))


def _result(made: "Future[np.ndarray | None]") -> np.ndarray | None:
    try:
        return made.result()
    except Exception as error:  # an engine of the system raises what it likes; MLX draws as well
        log.warning("Previews are drawn by MLX: %s", error)
        return None
