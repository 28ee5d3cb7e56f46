"""The steps that are compared, at 1024 x 1024 with references of 4096 tokens, and what a closed formula says of each.

Needs nothing but Python: both programs' sides read it.
"""

from typing import NamedTuple

IMAGE = REFERENCE = 4096  # tokens
BITS = (16, 8, 4)


class Case(NamedTuple):
    """`hidden`, `heads`, `double`, `single`: of the transformer; `ratio`, `matrices`: of its MLP."""

    family: str
    text: int
    hidden: int
    heads: int
    double: int
    single: int
    context: int
    ratio: float = 3.0
    matrices: int = 3
    references: int = 0
    banked: bool = False  # their keys and values are there
    base: bool = False  # FLUX.3 without a target time: text and references have been through their own blocks
    compiled_by_peer: bool = False  # mflux compiles klein's step, on the chips where it compiles

    @property
    def limit(self) -> float:
        """TFLOP: 2 L (4 + m r) h^2 + 4 L M h in each block; in FLUX.3 only the joint ones and those of each mode.

        The last block's outputs are needed of the image alone.
        """
        seen = self.references * REFERENCE
        rows = self.text + IMAGE + (0 if self.banked else seen)
        keys = self.text + IMAGE + seen
        each = lambda n: 2 * n * (4 + self.matrices * self.ratio) * self.hidden**2  # noqa: E731
        alone = 0.0
        if self.family == "flux3":
            parts = [IMAGE] if self.base else [IMAGE, self.text, seen]
            alone = self.double * sum(each(n) + 4 * n * n * self.hidden for n in parts)
        joint = self.single if self.family == "flux3" else self.double + self.single
        whole = joint * (each(rows) + 4 * rows * keys * self.hidden)
        left_out = rows - IMAGE  # of the last block: q, the output and the MLP, and what q asks
        last = 2 * left_out * (2 + self.matrices * self.ratio) * self.hidden**2 + 4 * left_out * keys * self.hidden
        return (alone + whole - last) / 1e12


FLUX1 = Case("flux1", 512, 3072, 24, 19, 38, 4096, 4.0, 2)
KLEIN4 = Case("flux2", 512, 3072, 24, 5, 20, 7680, compiled_by_peer=True)
KLEIN9 = Case("flux2", 512, 4096, 32, 8, 24, 12288, compiled_by_peer=True)
FLUX3 = Case("flux3", 160, 3072, 24, 5, 28, 20480)
CASES = {
    "FLUX.1 dev": FLUX1,
    "Kontext, 1 reference": FLUX1._replace(references=1),
    "klein 4B": KLEIN4,
    "klein 4B, 1": KLEIN4._replace(references=1),
    "klein 4B, 4": KLEIN4._replace(references=4),
    "klein 4B, 10": KLEIN4._replace(references=10),
    "klein 9B": KLEIN9,
    "klein 9B KV, 4, banked": KLEIN9._replace(references=4, banked=True, compiled_by_peer=False),
    "klein 9B KV, 10, banked": KLEIN9._replace(references=10, banked=True, compiled_by_peer=False),
    "FLUX.3 klein": FLUX3,
    "FLUX.3 klein, 1": FLUX3._replace(references=1),
    "FLUX.3 klein base, 1": FLUX3._replace(references=1, base=True),
}
