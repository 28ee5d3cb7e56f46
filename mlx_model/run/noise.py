"""Gaussian noise that is the same on every machine, bit for bit, from a seed.

mx.random.normal differs between chips (its inverse error function is the device's), so the noise is made on the host
from Philox, a counter-based integer generator whose stream numpy guarantees, by the inverse normal distribution
written with +, -, *, / and square root only, which IEEE 754 rounds alike everywhere; even the logarithm is ours.
"""

import math

import mlx.core as mx
import numpy as np

from ..errors import RequestError, say_reason

# Wichura 1988, Algorithm AS 241 (PPND16), Applied Statistics 37(3): coefficients of the three rational functions.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _rational(coefficients: tuple[tuple[float, ...], ...], x: np.ndarray) -> np.ndarray:
    top: np.ndarray = np.zeros_like(x)
    bottom: np.ndarray = np.zeros_like(x)
    for above, below in zip(reversed(coefficients[0]), reversed(coefficients[1]), strict=True):
        top, bottom = top * x + above, bottom * x + below
    fraction: np.ndarray = top / bottom
    return fraction


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm by the series of the inverse hyperbolic tangent: libm's differs in the last bit by platform."""
    mantissa, exponent = np.frexp(x)  # exact
    low = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    z = (mantissa - 1) / (mantissa + 1)
    total = np.zeros_like(z)
    for k in range(23, 0, -2):
        total = total * (z * z) + 2 / k
    logarithm: np.ndarray = exponent * 0.6931471805599453 + total * z
    return logarithm


def normal_from_uniform(p: np.ndarray) -> np.ndarray:
    """Inverse of the normal distribution for float64 p in (0, 1), correct to about 1e-15."""
    q = p - 0.5
    central = q * _rational(_CENTRE, 0.180625 - q * q)
    r = np.sqrt(-_log(np.minimum(p, 1 - p)))
    tail = np.where(r <= 5, _rational(_TAIL, r - 1.6), _rational(_FAR_TAIL, r - 5))
    return np.where(np.abs(q) <= 0.425, central, np.copysign(tail, q))


def normal(seed: int, shape: tuple[int, ...], stream: int = 0) -> np.ndarray:
    """Standard normal float32 of `shape`; `stream` separates independent draws of one seed.

    Size-stable: a larger shape begins with the values of a smaller one.
    """
    count = math.prod(shape)
    bits = np.random.Philox(key=np.array([seed, stream], np.uint64)).random_raw(count)
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # never 0 or 1
    return normal_from_uniform(uniform).astype(np.float32).reshape(shape)


def load(path: str, shape: tuple[int, int]) -> mx.array:
    """Noise from a .safetensors file, whose tensor `noise` has that shape. Raises RequestError."""
    try:
        given = mx.load(path)
        if not isinstance(given, dict):
            raise TypeError("it is one array")
        given = given["noise"].astype(mx.float32)
        mx.eval(given)  # here, where it is known which file could not be read
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        why = f"{path} holds no tensor `noise`: {say_reason(error)}."
        raise RequestError(why, "Give a .safetensors file.") from error
    if given.shape != shape:
        why = f"The noise in {path} is {given.shape}, this picture needs {shape}."
        raise RequestError(why, "Make it for this model and size.")
    return given
