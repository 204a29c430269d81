"""Put without end and say on stdout what is acknowledged: a program that is made to be killed.

Started as `python crash_writer.py STORE SEED`; writes one line an acknowledgement.
"""

import io
import os
import sys
from collections.abc import Iterator

from cid_store.local import LocalStore

SIZES = (0, 1, 100, 5000, 70_000, 1 << 20)


def blobs(seed: int) -> Iterator[bytes]:
    """Blobs of many sizes, the same for the same seed, none twice."""
    for at in range(10**9):
        head = b"%d %d " % (seed, at)
        yield head + bytes([at % 251]) * SIZES[(at * 7 + seed) % len(SIZES)]


def acknowledge(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main(path: str, seed: int) -> None:
    source = blobs(seed)
    with LocalStore(path) as store:
        acknowledge("open")
        for round_number in range(10**9):
            acknowledge("put", store.put(next(source)))
            many = [next(source) for _ in range(round_number % 7 * 20)]
            for cid in store.put_many(many):
                acknowledge("put", cid)
            with store.batch():
                cid = store.put(next(source))
                store.set_root(f"newest/{seed}", cid)
                store.set_root(f"count/{seed}", store.put(b"%d" % round_number))
            acknowledge("root", cid, round_number)
            if round_number % 5 == 4:
                acknowledge("put", store.put_stream(io.BytesIO(next(source) * 2 + bytes(3 << 20))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
