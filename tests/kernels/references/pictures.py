"""predict2d and colour_lift, written from their specifications."""

from collections.abc import Sequence


def signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


def residuals(values: Sequence[int], bits: int, row: int, channels: int, mode: int) -> list[int]:
    """What predict2d makes of `values`."""
    row = row if row < len(values) else 0
    east = row - channels if row > channels else row
    errors: list[list[int]] = []
    out: list[int] = []
    for i, value in enumerate(values):

        def near(distance: int, i: int = i) -> int:
            return values[i - distance] if 0 < distance <= i else 0

        west = near(channels)
        north, north_west, north_east = (
            signed(near(distance) - west, bits)
            for distance in (row, row + channels if row else 0, east)
        )
        plane = north - north_west
        guesses = [signed(plane, 32), north_east, north, 0]
        if mode == 0:
            guess = sorted((0, north, plane))[1]
        else:
            places = [channels, 2 * channels]
            places += [row, row + channels, east] if row else []
            sums = [sum(errors[i - place][k] for place in places if i >= place) for k in range(4)]
            guess = weighted(guesses, sums)
            guess = max(min(0, north, north_east), min(guess, max(0, north, north_east)))
        actual = signed(value - west, bits)
        errors.append([missed(actual - one, bits) for one in guesses])
        left = signed(value - west - guess, bits)
        out.append(2 * left if left >= 0 else -2 * left - 1)
    return out


def missed(error: int, bits: int) -> int:
    return min(abs(signed(error, 32)), 1 << 24) if bits == 32 else min(abs(error), 65535)


def weighted(guesses: Sequence[int], sums: Sequence[int]) -> int:
    shift = max(0, min(sums).bit_length() - 5)
    weights = [(1 << 20) // (min(255, one >> shift) ** 2 + 1) for one in sums]
    total = sum(weights)
    wanted = sum(weight * guess for weight, guess in zip(weights, guesses, strict=True))
    size = (abs(wanted) + total // 2) // total
    return -size if wanted < 0 else size


def lifted(pixels: Sequence[int], bits: int, channels: int, mode: int) -> list[int]:
    """What colour_lift makes of `pixels`."""
    out, middle = [*pixels], 1 << (bits - 1)
    for at in range(0, len(out) - channels + 1, channels):
        red, green, blue = out[at : at + 3]
        if mode < 2:
            first, second = green, red - green
            third = blue - green - (signed(second, bits) // 2 if mode == 1 else 0)
        else:
            second = red - blue
            low = blue + signed(second, bits) // 2
            third = green - low
            first = green if mode == 2 else low + signed(third, bits) // 2
        made = (first, second + middle, third + middle)
        out[at : at + 3] = [one % (1 << bits) for one in made]
    return out
