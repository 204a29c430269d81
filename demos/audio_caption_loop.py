"""Caption sounds with what is computed of them, pack them, and caption what comes back.

    python demos/audio_caption_loop.py [WAV]

The Hilbert transform turns every frequency of a sound by 90 degrees. Sound and turned sound are the
real and the imaginary part of the analytic signal, whose size is the envelope and whose turning is
the frequency (D. Gabor, Theory of communication, 1946). The kernel `hilbert_lift` does it in whole
numbers, reversibly. Four sounds are made here, so that what a caption says can be compared
with what is known; a WAV file (16 bits, its first channel) is captioned in their place.
"""

import argparse
import sys
import tempfile
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from _checks import check, fail, run

from redoxa import VM, Cid

RATE = 8000  # lanes a second of the sounds made here
FULL = 32768  # the size of the largest 16-bit number, 0 dBFS
HEARD_HZ = (250.0, 1200.0)  # where a pitch is looked for: below, the kernel turns less than all
FRAME_S = 0.05  # a pitch is taken of so much sound
SMOOTH_S = 0.01  # an envelope is averaged over so much
RISE_S = 0.04  # in which a tone made here gets its size
LOUD = 0.1  # of the greatest envelope: below it a sound has no pitch worth telling
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
TURN = "input sound: u32\nemit sound |> hilbert_lift(order=4)\n"
ENDINGS = """
  |> (delta | delta(order=2) | adaptive_lpc)
  |> zigzag
  |> (residual | byte_split |> (zstd | rans0))
"""
TURNED = f"input sound: u16\nemit sound |> hilbert_lift(order=?) {ENDINGS}"
PLAIN = f"input sound: u16\nemit sound {ENDINGS}"

Sound = npt.NDArray[np.int16]
Values = npt.NDArray[np.float64]
Analytic = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Caption:
    """What is computed of a sound; a rate or a time that shows nowhere is 0."""

    seconds: float
    level_db: float  # root mean square, against full scale
    peak_db: float
    first_hz: float  # the pitch where it begins, and where it ends
    last_hz: float
    attack_s: float  # from a tenth of the greatest envelope to nine tenths
    fading_s: float  # in which the envelope falls to 1/e
    beats_hz: float  # of the envelope, and how much of it
    beats_depth: float

    def __str__(self) -> str:
        pitch = named(self.first_hz)
        if abs(self.last_hz / self.first_hz - 1) > 0.02:
            way = "rising" if self.last_hz > self.first_hz else "falling"
            pitch = f"{way} from {pitch} to {named(self.last_hz)}"
        shape = "even"
        if self.beats_hz:
            shape = f"beating {self.beats_hz:.1f} times a second by {self.beats_depth:.0%}"
        elif self.fading_s:
            shape = f"fading to 1/e in {self.fading_s:.2f} s"
        return (
            f"{self.seconds:.2f} s, {pitch}; {self.level_db:.1f} dBFS, peak {self.peak_db:.1f}; "
            f"{shape}, there within {1000 * self.attack_s:.0f} ms"
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A sound, and what its caption has to say: a caption's field, its value, how near."""

    sound: Sound
    known: Mapping[str, tuple[float, float]]


def main() -> int:
    """Turn, caption, pack; unpack, and caption again."""
    path = arguments()
    if path is None:
        rate, sounds = RATE, {name: make() for name, make in MADE.items()}
    else:
        rate, sound = read(path)
        sounds = {path.name: Made(sound, {})}
    with tempfile.TemporaryDirectory() as home, VM(home) as vm:
        for name, made in sounds.items():
            loop(vm, name, made, rate)
    return 0


def arguments() -> Path | None:
    """The file to caption, if one was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wav", nargs="?", type=Path, help="a WAV file to caption (16 bits)")
    path: Path | None = parser.parse_args().wav
    return path


def read(path: Path) -> tuple[int, Sound]:
    """The rate of a WAV file and its first channel."""
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() != 2:
                refuse(f"{path} has samples of {8 * file.getsampwidth()} bits; 16 are needed")
            data = file.readframes(file.getnframes())
            rate, channels = file.getframerate(), file.getnchannels()
    except (OSError, EOFError, wave.Error) as error:
        refuse(f"{path} cannot be read as a WAV file: {str(error) or 'it ends too early'}")
    whole = len(data) // (2 * channels) * 2 * channels
    sound = np.frombuffer(data[:whole], dtype="<i2")[::channels]
    if len(sound) < rate // 4 or not sound.any():
        refuse(f"{path} has no sound of a quarter of a second or more")
    return rate, np.ascontiguousarray(sound)


def refuse(sentence: str) -> NoReturn:
    """End with one sentence and the exit code of a wrong command line."""
    print(f"audio_caption_loop: {sentence}", file=sys.stderr)
    sys.exit(2)


# The loop.


def loop(vm: VM, name: str, made: Made, rate: int) -> None:
    """One sound all the way round."""
    signal = analytic(vm, made.sound)
    caption = captioned(signal, rate)
    print(f"{name}: {caption}")
    if made.known:  # and nothing in it that a kernel of some taps cannot turn
        print()
        check_turn(signal)
        check_caption(caption, made)
    kept = vm.put(made.sound)
    plan = vm.plan(kept, vm.gene(TURNED))
    frame = vm.run(plan, kept)
    container = vm.pack(kept, vm.gene(TURNED))
    size, plain = (len(vm.get(each)) for each in (container, vm.pack(kept, vm.gene(PLAIN))))
    print(f"\n  {made.sound.nbytes:,} bytes; turned and packed {size:,}, not turned {plain:,}:\n")
    print("".join(f"      {line}\n" for line in vm.describe(plan).splitlines()))
    check("it is smaller", holds=size < made.sound.nbytes)
    check("the plan undone gives the sound", holds=vm.invert(frame) == kept)
    back = unpacked(vm, container)
    check("and so does the container, bit for bit", holds=np.array_equal(back, made.sound))
    again = captioned(analytic(vm, back), rate)
    check("what came back has the same caption", holds=again == caption)
    print()


def unpacked(vm: VM, container: Cid) -> Sound:
    """The sound that a container holds."""
    return np.frombuffer(vm.get(vm.unpack(container)), dtype="<i2")


def analytic(vm: VM, sound: Sound) -> Analytic:
    """The analytic signal of a sound: itself, and beside it what the kernel turned."""
    # In 32 bits no sum of 16-bit lanes leaves the range in which the turn is one.
    wide = sound.astype("<i4")
    frame = vm.run(vm.gene(TURN), vm.put(wide))
    if vm.invert(frame) != frame.request.inputs[0]:
        fail("the turned sound gives the sound back")
    return wide + 1j * vm.view(frame.outputs[0], "<i4")


# What a caption says.


def captioned(signal: Analytic, rate: int) -> Caption:
    """Everything that is computed of a sound."""
    level = float(np.sqrt(np.mean(signal.real**2)))
    envelope = smoothed(np.abs(signal), round(SMOOTH_S * rate))
    pitches = pitch_track(signal, envelope, rate)
    beats_hz, depth = beats(envelope, rate)
    return Caption(
        seconds=len(signal) / rate,
        level_db=decibels(level),
        peak_db=decibels(float(np.abs(signal.real).max())),
        first_hz=pitches[0],
        last_hz=pitches[-1],
        attack_s=attack(envelope) / rate,
        fading_s=0.0 if beats_hz else fading(envelope, rate),
        beats_hz=beats_hz,
        beats_depth=depth,
    )


def decibels(size: float) -> float:
    """Against the largest 16-bit number."""
    return float(20 * np.log10(size / FULL))


def smoothed(values: Values, width: int) -> Values:
    """The mean of so many neighbours; at the ends of those there are."""
    window = np.ones(width)
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")


def pitch_track(signal: Analytic, envelope: Values, rate: int) -> list[float]:
    """The pitch of every loud frame, from the first to the last."""
    length = round(FRAME_S * rate)
    starts = range(0, len(signal) - length + 1, length)
    loud = [at for at in starts if envelope[at : at + length].min() > LOUD * envelope.max()]
    return [pitch(signal[at : at + length], rate) for at in loud] or [0.0]


def pitch(signal: Analytic, rate: int) -> float:
    """After how long a sound comes back to itself, as a frequency.

    First the lag, of those of a pitch that can be heard, at which it is about as much like itself
    as at any: it comes back after two periods, too. Then many periods together say it finely.
    """
    low, high = (round(rate / hz) for hz in reversed(HEARD_HZ))
    likeness = self_likeness(signal, low - 1, high + 1)
    peaks = [
        at
        for at in range(1, len(likeness) - 1)
        if likeness[at] == likeness[at - 1 : at + 2].max() and likeness[at] > 0.9 * likeness.max()
    ]
    if not peaks:
        return 0.0
    period, times_round = low - 1 + top(likeness, peaks[0]), 1
    while 2 * times_round * period < len(signal) / 2:
        times_round *= 2
        least = round(times_round * period) - 2
        around = self_likeness(signal, least, least + 4)
        period = (least + top(around, int(np.argmax(around)))) / times_round
    return rate / period


def self_likeness(signal: Analytic, first: int, last: int) -> Values:
    """How like itself a signal is after each of those lags: 1 for one that comes back as it was."""
    pairs = [(signal[:-lag], signal[lag:]) for lag in range(first, last + 1)]
    return np.array(
        [np.vdot(a, b).real / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs]
    )


def top(values: Values, at: int) -> float:
    """Where the parabola through a greatest value and its neighbours has its top."""
    if not 0 < at < len(values) - 1:
        return float(at)
    before, here, after = values[at - 1 : at + 2]
    return float(at + 0.5 * (before - after) / (before - 2 * here + after))


def named(hz: float) -> str:
    """A frequency, and the note that is nearest to it (A4 = 440 Hz)."""
    if not hz:
        return "no pitch"
    number = round(69 + 12 * np.log2(hz / 440))
    return f"{NAMES[number % 12]}{number // 12 - 1} ({hz:.1f} Hz)"


def attack(envelope: Values) -> int:
    """How many lanes the envelope takes from a tenth of its greatest value to nine tenths."""
    tenth, most = (int(np.argmax(envelope >= part * envelope.max())) for part in (0.1, 0.9))
    return most - tenth


def fading(envelope: Values, rate: int) -> float:
    """In how many seconds it falls to 1/e; 0 for one that falls by less than half in all."""
    heard = np.flatnonzero(envelope > LOUD * envelope.max())
    tail = envelope[int(np.argmax(envelope)) : heard[-1] + 1]
    # What is higher in a sound mostly fades sooner; what is left after that fades evenly.
    tail = tail[int(np.argmax(tail < 0.5 * tail[0])) :]
    if len(tail) < rate // 10 or tail[-1] > 0.7 * tail[0]:
        return 0.0
    slope = np.polyfit(np.arange(len(tail)) / rate, np.log(tail), 1)[0]
    return float(-1 / slope)


def beats(envelope: Values, rate: int) -> tuple[float, float]:
    """How many times a second the envelope swells, and by which part of its mean; 0, 0 if not."""
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean())) * 2 / len(envelope)
    hz = np.fft.rfftfreq(len(envelope), 1 / rate)
    band = (hz >= 2) & (hz <= 20)
    at = int(np.argmax(np.where(band, spectrum, 0)))
    depth = float(spectrum[at] / envelope.mean())
    # What fades or swells once has most of its spectrum below this band.
    if depth < 0.1 or spectrum[~band].max() > spectrum[at]:
        return 0.0, 0.0
    return float(hz[at]), depth


# The sounds, and what is known of them.


def tone(hz: Values | float, size: Values | float) -> Sound:
    """A wave of those frequencies and sizes that swells to its size in the first instant."""
    turns = np.cumsum(np.broadcast_to(np.asarray(hz, dtype=float) / RATE, len(times())))
    rise = np.minimum(times() / RISE_S, 1)
    return np.rint(size * rise * np.sin(2 * np.pi * turns)).astype("<i2")


def times() -> Values:
    """The time of each lane in seconds: one and a half."""
    return np.arange(RATE * 3 // 2) / RATE


def steady() -> Made:
    """A tone that does not change."""
    length = times()[-1]
    # A rise counts for a third of its time.
    level = decibels(8000 * np.sqrt((1 - 2 / 3 * RISE_S / length) / 2))
    known = {"first_hz": (440, 0.5), "last_hz": (440, 0.1), "level_db": (level, 0.01)}
    even = {"beats_hz": (0, 0), "fading_s": (0, 0), "attack_s": (0.8 * RISE_S, 0.002)}
    return Made(tone(440, 8000), known | even)


def tremolo() -> Made:
    """A tone that swells six times a second, by three fifths."""
    size = 6000 * (1 + 0.6 * np.sin(2 * np.pi * 6 * times()))
    known = {"last_hz": (660, 0.5), "beats_hz": (6, 0.01), "beats_depth": (0.6, 0.02)}
    return Made(tone(660, size), known)


def glide() -> Made:
    """A tone that rises by an octave, by as many hertz in each second."""
    hz = 400 + 400 * times() / times()[-1]
    # A frame tells of its middle, and the first is still too soft to tell anything.
    frame = 400 * FRAME_S / times()[-1]
    known = {"first_hz": (400 + 1.5 * frame, 2), "last_hz": (800 - frame / 2, 2)}
    return Made(tone(hz, 8000), known)


def pluck() -> Made:
    """A plucked string as K. Karplus and A. Strong make it (1983): noise, smoothed in a loop.

    In whole numbers, so that it is the same everywhere. The loop is half a lane longer than the
    string, and each time round takes its share of every wave, of the fundamental the least.
    """
    length = 20
    string = [int(each) for each in np.random.default_rng(1983).integers(-12000, 12000, length)]
    for at in range(len(times()) - length):
        # Halves are rounded up and down in turn, so that nothing adds up.
        string.append((string[at] + string[at - 1 if at else length - 1] + at % 2) // 2)
    loop_s = (length + 0.5) / RATE
    fading = -loop_s / np.log(np.cos(np.pi / (length + 0.5)))
    known = {"last_hz": (1 / loop_s, 1), "fading_s": (float(fading), 0.02), "beats_hz": (0, 0)}
    # What never fades is no sound.
    rest = sum(string[-length:]) // length
    return Made(np.array(string, dtype="<i2") - np.int16(rest), known)


MADE: Mapping[str, Callable[[], Made]] = {
    "steady": steady,
    "tremolo": tremolo,
    "glide": glide,
    "pluck": pluck,
}


# What must hold.


def check_turn(signal: Analytic) -> None:
    """The kernel's turn against the one by Fourier transform, away from the ends."""
    size = len(signal)
    one_sided = np.where(np.arange(size) < (size + 1) // 2, 2.0, 0.0)
    turned = np.fft.ifft(np.fft.fft(signal.real) * one_sided).imag
    middle = slice(size // 10, -size // 10)
    apart = np.linalg.norm((signal.imag - turned)[middle]) / np.linalg.norm(turned[middle])
    check(f"the kernel turns as a Fourier transform does, within {apart:.2%}", holds=apart < 0.02)


def check_caption(caption: Caption, made: Made) -> None:
    """What is known of a sound is what its caption says."""
    for field, (value, near) in made.known.items():
        said = getattr(caption, field)
        check(f"{field} is {value:.4g}: {said:.4g}", holds=abs(said - value) <= near)


if __name__ == "__main__":
    run(main)
