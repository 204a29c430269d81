"""Fourier transforms of 2^k real numbers in numpy, every operation as FLOATS.md orders them.

numpy's own transform rounds in other places; tests compare the two within a bound.
"""

from math import factorial
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def cos_sin(turns: Array) -> tuple[Array, Array]:
    """Cosine and sine of so many full turns, each between 0 and 1/2."""
    turns = np.array(turns, np.float64)
    second = turns > 0.25
    turns = np.where(second, 0.5 - turns, turns)
    steep = turns > 0.125
    x = np.where(steep, 0.25 - turns, turns) * 6.283185307179586
    u = x * x
    cosine, sine = _series(u, 16), _series(u, 17) * u * x + x
    cosine = cosine * u + 1
    cosine, sine = np.where(steep, sine, cosine), np.where(steep, cosine, sine)
    return np.where(second, -cosine, cosine), sine


def _series(u: Array, last: int) -> Array:
    """The Taylor series' terms from `last` down to the second, by Horner."""
    signs = {degree: (-1) ** (degree // 2) for degree in range(last, 1, -2)}
    total = np.zeros_like(u)
    for degree, sign in signs.items():
        total = total * u + sign / factorial(degree)
    return total


def forward(x: Array) -> tuple[Array, Array]:
    """Real and imaginary parts of the n/2 + 1 numbers of the spectrum."""
    n, half = len(x), len(x) // 2
    re, im = _complex(x[0::2], x[1::2])
    out_re, out_im = np.zeros(half + 1), np.zeros(half + 1)
    out_re[0], out_re[half] = re[0] + im[0], re[0] - im[0]
    k = np.arange(1, half)
    ar, ai, br, bi = re[k], im[k], re[half - k], im[half - k]
    even_re, even_im = 0.5 * (ar + br), 0.5 * (ai - bi)
    odd_re, odd_im = 0.5 * (ai + bi), 0.5 * (br - ar)
    c, s = cos_sin(k / n)
    out_re[k] = even_re + (odd_re * c + odd_im * s)
    out_im[k] = even_im + (odd_im * c - odd_re * s)
    return out_re, out_im


def inverse(re: Array, im: Array) -> Array:
    """n/2 times the n real numbers that have the spectrum."""
    half = len(re) - 1
    k = np.arange(half)
    ar, ai, br, bi = re[k], im[k], re[half - k], im[half - k]
    even_re, even_im = 0.5 * (ar + br), 0.5 * (ai - bi)
    turned_re, turned_im = 0.5 * (ar - br), 0.5 * (ai + bi)
    c, s = cos_sin(k / (2 * half))
    odd_re, odd_im = turned_re * c - turned_im * s, turned_im * c + turned_re * s
    x = np.empty(2 * half)
    x[1::2], x[0::2] = _complex(even_im + odd_re, even_re - odd_im)
    return x


def _complex(re: Array, im: Array) -> tuple[Array, Array]:
    """Stockham's transform of 2^k complex numbers."""
    step, pairs = 1, len(re) // 2
    while pairs > 0:
        c, s = (part[:, None] for part in cos_sin(np.arange(pairs) / (2 * pairs)))
        (ar, br), (ai, bi) = re.reshape(2, pairs, step), im.reshape(2, pairs, step)
        dr, di = ar - br, ai - bi
        re = np.stack([ar + br, dr * c + di * s], axis=1).ravel()
        im = np.stack([ai + bi, di * c - dr * s], axis=1).ravel()
        step, pairs = 2 * step, pairs // 2
    return re, im
