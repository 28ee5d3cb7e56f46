"""Every known model as facts: what it does, who may use it, how large it is, whether it fits. For CLI and window."""

from typing import Any

from mlx_model import memory
from mlx_model.spec_parts import BITS
from mlx_model.specs import PACKED_ROLES, SPECS, ModelSpec

from .library import Installed, list_installed

# What models do to which a picture is something special, by ModelSpec.pictures.
SPECIAL = {
    "erased": "fill in under a mask, extend a picture",
    "edges": "generate along the edges of a picture",
    "depth": "generate along a depth map",
    "features": "variations of a picture",
}


def catalogue(here: memory.Machine) -> list[dict[str, Any]]:
    """`facts` of all models, in the order of SPECS."""
    there = list_installed()
    return [facts(spec, here, [model for model in there if model.name == spec.name]) for spec in SPECS.values()]


def facts(spec: ModelSpec, here: memory.Machine, there: list[Installed]) -> dict[str, Any]:
    """One model, ready for JSON. Memory and seconds are predicted for this machine, at the model's default size."""
    peaks = {bits: memory.forecast(spec, bits=bits, metal=here.metal) for bits in BITS}
    seconds = memory.step_seconds(memory.step_flops(spec, spec.size), here)
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "does": _does(spec),
        "advice": spec.advice,
        "licence": {
            "name": spec.licence.name,
            "url": spec.licence.url,
            "summary": spec.licence.summary,
            "consent": spec.licence.consent,
            "gated": spec.gated,
        },
        "repo": spec.repo,
        "download_bytes": spec.download_bytes,
        "disk_bytes": {str(bits): disk_bytes(spec, bits) for bits in BITS},
        "memory_bytes": {str(bits): peak.peak for bits, peak in peaks.items()},
        "fits": {str(bits): memory.fits(peak, here) for bits, peak in peaks.items()},
        "seconds_per_step": None if seconds is None else round(seconds, 3),
        "basis": "predicted",
        "steps": spec.steps,
        "size": list(spec.size),
        "installed": [_describe(model) for model in there],
    }


def _does(spec: ModelSpec) -> dict[str, Any]:
    return {
        "generate": not spec.needs_picture,
        "edit": spec.max_references > 0,
        "pictures": spec.pictures,
        "references": spec.max_references,
        "mask": spec.mask,
        "negative": spec.takes_text and spec.guidance_kind == "cfg",
        "classes": spec.classes,
    }


def _describe(model: Installed) -> dict[str, Any]:
    return {
        "path": str(model.path),
        "bytes": model.bytes,
        "plan": model.plan,
        "built_in": model.built_in,
        "problem": model.problem,
    }


def disk_bytes(spec: ModelSpec, bits: int) -> int:
    """The converted folder: packed transformer and text encoder, the rest at 16 bits."""
    return sum(
        memory.weight_bytes(count, bits if part in PACKED_ROLES else max(bits, 16), 2)
        for part, count in spec.parameters.items()
    )


def best_bits(entry: dict[str, Any]) -> int | None:
    """The most bits, 16 at most, at which a model of `facts` fits this machine; None where none does."""
    return max((int(bits) for bits, fits in entry["fits"].items() if fits), default=None)


def does_line(does: dict[str, Any]) -> str:
    """generate, edit (10 pictures, mask), negative"""
    parts = ["generate"] if does["generate"] else []
    if does["classes"]:
        parts = [f"generate ({does['classes']} classes, no words)"]
    if does["edit"]:
        pictures = "1 picture" if does["references"] == 1 else f"{does['references']} pictures"
        parts.append(SPECIAL.get(does["pictures"]) or f"edit ({pictures}{', mask' if does['mask'] else ''})")
    return ", ".join(parts + (["negative"] if does["negative"] else []))
