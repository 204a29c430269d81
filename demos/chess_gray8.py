"""A square of the chess board in a byte by Gray code; a knight's tour in it, and back again.

    python demos/chess_gray8.py [SQUARE]

File and rank are three bits each, both in reflected Gray code (F. Gray, US patent 2,632,058). A
step to a neighbouring square turns one bit over and a knight's move three, so a move is taken back
by turning the same bits over once more. The codes are those of the kernel `gray`, and the history
of the board goes through a plan of reversible kernels and back.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import reduce
from itertools import accumulate, pairwise, product
from operator import xor

import numpy as np
import numpy.typing as npt
from _checks import check, fail, run

from redoxa import VM

SIDE = 8
SQUARES = SIDE * SIDE
KNIGHT = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
CODE = "input squares: u8\nemit squares |> gray\n"
# A position is 64 bytes, so the byte before in the same square is 64 lanes away.
HISTORY = """
input boards: u8
emit boards
  |> (pass | delta(lag=64) | bit_transpose)
  |> (gray | pass)
  |> (zstd | rans0 | context_mix)
"""

Moves = tuple[tuple[int, int], ...]
Boards = npt.NDArray[np.uint8]
Codes = dict[int, int]


def main() -> int:
    """Code, check, tour, take back."""
    start = arguments()
    with tempfile.TemporaryDirectory() as home, VM(home) as vm:
        codes = coded(vm)
        draw(codes)
        check_code(vm, codes)
        tour = knights_tour(start)
        flips = [codes[a] ^ codes[b] for a, b in pairwise(tour)]
        boards = history(tour)
        show(tour, boards)
        check_tour(tour, codes, flips)
        check_history(vm, boards, tour, codes)
    return 0


def arguments() -> int:
    """The square from which the tour starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("square", nargs="?", default="a1", help="where the knight starts")
    name = parser.parse_args().square
    names = [spelled(square) for square in range(SQUARES)]
    if name not in names:
        parser.error(f"{name!r} is no square; a1 to h8 are")
    return names.index(name)


def spelled(square: int) -> str:
    """A square as chess players write it: 0 is a1, 1 is b1, 63 is h8."""
    return f"{'abcdefgh'[square % SIDE]}{square // SIDE + 1}"


def coded(vm: VM) -> Codes:
    """The byte of every square: the Gray code of its place on a path that turns at every edge.

    On such a path the last three bits are the file's own Gray code in every rank, which is why
    the kernel for numbers makes one for squares.
    """
    path = np.array([snake(square) for square in range(SQUARES)], dtype=np.uint8)
    frame = vm.run(vm.gene(CODE), vm.put(path))
    if vm.invert(frame) != frame.request.inputs[0]:
        fail("the codes give the squares back")
    return dict(enumerate(vm.get(frame.outputs[0])))


def snake(square: int) -> int:
    """The place of a square on the path a1 to h1, h2 to a2, a3 to h3 and so on."""
    rank, file = divmod(square, SIDE)
    return rank * SIDE + (SIDE - 1 - file if rank % 2 else file)


def reached(square: int, moves: Moves) -> Iterator[int]:
    """The squares on the board that those moves lead to."""
    rank, file = divmod(square, SIDE)
    for files, ranks in moves:
        if 0 <= file + files < SIDE and 0 <= rank + ranks < SIDE:
            yield (rank + ranks) * SIDE + file + files


def near(square: int) -> list[int]:
    """The squares that a knight reaches with one move."""
    return list(reached(square, KNIGHT))


def draw(codes: Codes) -> None:
    """The board with the byte of each square, rank and file in octal digits of their own."""
    print("the byte of each square, in octal: the rank's code, then the file's\n")
    for rank in reversed(range(SIDE)):
        row = " ".join(f"{codes[rank * SIDE + file]:02o}" for file in range(SIDE))
        print(f"  {rank + 1}  {row}")
    print(f"     {'  '.join('abcdefgh')}\n")


def check_code(vm: VM, codes: Codes) -> None:
    """What makes it a code for a board, in every case there is."""
    gray = [number ^ number // 2 for number in range(SIDE)]
    by_hand = {s: gray[s // SIDE] << 3 | gray[s % SIDE] for s in range(SQUARES)}
    check("the kernel's codes are the Gray codes of rank and file", holds=codes == by_hand)
    check("64 squares have 64 different bytes", holds=len(set(codes.values())) == SQUARES)
    everything = vm.put(bytes(range(256)))
    back = vm.invert(vm.run(vm.gene(CODE), everything))
    check("all 256 bytes come back from their codes", holds=back == everything)
    steps = [(a, b) for a in codes for b in reached(a, STEPS)]
    one = all((codes[a] ^ codes[b]).bit_count() == 1 for a, b in steps)
    check(f"all {len(steps)} steps to a neighbour turn 1 bit over", holds=one and len(steps) == 224)
    jumps = [(a, b) for a in codes for b in near(a)]
    three = all((codes[a] ^ codes[b]).bit_count() == 3 for a, b in jumps)
    count = len(jumps)
    check(f"all {count} knight's moves turn 3 bits over", holds=three and count == 336)
    flips = {codes[a] ^ codes[b] for a, b in jumps}
    check("whichever they are, it is one of 12 patterns", holds=len(flips) == 12)
    dark = {s: (s // SIDE + s % SIDE) % 2 for s in codes}
    colour = all(codes[s].bit_count() % 2 == dark[s] for s in codes)
    check("the parity of a byte is the colour of its square", holds=colour)


def knights_tour(start: int) -> list[int]:
    """A closed tour of all squares; the same for every start, but for where it begins."""
    orders = [KNIGHT[turn:] + KNIGHT[:turn] for turn in range(len(KNIGHT))]
    tours = (warnsdorff(first, moves) for first, moves in product(range(SQUARES), orders))
    closed = next(tour for tour in tours if len(tour) == SQUARES and tour[0] in near(tour[-1]))
    at = closed.index(start)
    return closed[at:] + closed[:at]


def warnsdorff(first: int, moves: Moves) -> list[int]:
    """As far as Warnsdorff's rule leads: always where the fewest ways lead on.

    Of equals the first by the order of the moves. It may end before it has been everywhere.
    """
    tour, free = [first], set(range(SQUARES)) - {first}

    def onward(square: int) -> int:
        return sum(after in free for after in reached(square, moves))

    while following := [square for square in reached(tour[-1], moves) if square in free]:
        tour.append(min(following, key=onward))
        free.discard(tour[-1])
    return tour


def history(tour: list[int]) -> Boards:
    """A board after each move, 64 bytes each: in every square the number of the visit, or 0."""
    boards = np.zeros((len(tour), SQUARES), dtype=np.uint8)
    for visit, square in enumerate(tour):
        boards[visit:, square] = visit + 1
    return boards


def show(tour: list[int], boards: Boards) -> None:
    """The tour as numbers in the squares."""
    print(f"\na closed tour from {spelled(tour[0])}, each square with the number of its visit\n")
    for rank in reversed(range(SIDE)):
        row = boards[-1, rank * SIDE : (rank + 1) * SIDE]
        print(f"  {rank + 1} " + "".join(f"{visit:4}" for visit in row))
    print(f"     {'   '.join('abcdefgh'):>32}\n")


def check_tour(tour: list[int], codes: Codes, flips: list[int]) -> None:
    """The tour by the rules of chess, and by its bits there and back."""
    check("it visits every square once", holds=sorted(tour) == list(range(SQUARES)))
    legal = all(b in near(a) for a, b in pairwise([*tour, tour[0]]))
    check("every move is a knight's, and so is the one home", holds=legal)
    three = all(flip.bit_count() == 3 for flip in flips)
    check(f"its {len(flips)} moves are bytes of 3 bits", holds=three)
    there = list(accumulate(flips, xor, initial=codes[tour[0]]))
    check("turning these bits over goes the tour", holds=there == [codes[s] for s in tour])
    back = list(accumulate(reversed(flips), xor, initial=codes[tour[-1]]))
    check("the same bits from the last to the first take it back", holds=back == there[::-1])
    rest = reduce(xor, flips)
    home = codes[tour[-1]] ^ codes[tour[0]]
    check("what is left of them together is the move home", holds=rest == home)


def check_history(vm: VM, boards: Boards, tour: list[int], codes: Codes) -> None:
    """The boards through a plan and back, then taken back move by move from what came back."""
    print()
    kept = vm.put(boards)
    plan = vm.plan(kept, vm.gene(HISTORY))
    frame = vm.run(plan, kept)
    size = sum(len(vm.get(stream)) for stream in frame.outputs)
    print(f"{len(boards)} boards, {boards.nbytes:,} bytes; {size:,} under this plan:\n")
    print("".join(f"  {line}\n" for line in vm.describe(plan).splitlines()))
    check("the plan undone gives the boards", holds=vm.invert(frame) == kept)
    container = vm.pack(kept, vm.gene(HISTORY))
    smaller = len(vm.get(container)) < boards.nbytes // 4
    check("a container holds them in less than a quarter", holds=smaller)
    unpacked = vm.unpack(container)
    check("the container gives them back", holds=unpacked == kept)
    board = vm.view(unpacked, np.uint8, boards.shape)
    places = [int(np.argmax(each)) for each in board[::-1]]
    check("played backwards from there, the knight goes home", holds=places == tour[::-1])
    numbers = vm.put(bytes(codes[square] for square in places))
    path = np.array([snake(square) for square in places], dtype=np.uint8)
    same = vm.run(vm.gene(CODE), vm.put(path)).outputs[0]
    check("and its bytes are the kernel's", holds=same == numbers)


if __name__ == "__main__":
    run(main)
