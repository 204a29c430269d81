"""What a server may do to whoever loads from it: each method answers the path of its name."""

import gzip
import re
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.net.server import Site

DATA = bytes(at * at % 251 for at in range(90_000))
OTHER = bytes(at * 7 % 253 for at in range(90_000))
THIRD = len(DATA) // 3


class Hostile(BaseHTTPRequestHandler):
    """Parts of answers, versions that change, redirects, floods, bombs and lies."""

    @property
    def site(self) -> "Site":
        raise NotImplementedError

    def _head(self, status: str, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", *headers, "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1"))
        self.close_connection = True

    def _whole(self, data: bytes, *headers: str) -> None:
        self._head("200 OK", f"Content-Length: {len(data)}", *headers)
        self.wfile.write(self._cut(data))

    def _cut(self, data: bytes) -> bytes:
        if self.site.cuts:
            self.site.cuts -= 1
            return data[:THIRD]
        return data

    def _first(self) -> int | None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return None if match is None else int(match[1])

    def _part(self, data: bytes, first: int, *headers: str, said: str | None = None) -> None:
        span = said or f"bytes {first}-{len(data) - 1}/{len(data)}"
        length = f"Content-Length: {len(data) - first}"
        self._head("206 Partial Content", length, f"Content-Range: {span}", *headers)
        self.wfile.write(self._cut(data[first:]))

    def bad_parts(self) -> None:
        """Honest: the rest where that is asked for of this version."""
        first = self._first()
        if first is None or self.headers.get("If-Range") != '"one"':
            self._whole(DATA, 'ETag: "one"')
        else:
            self._part(DATA, first, 'ETag: "one"')

    def bad_parts_by_date(self) -> None:
        changed = "Last-Modified: Mon, 02 Nov 2020 10:00:00 GMT"
        said = (changed, "Date: Tue, 03 Nov 2020 10:00:00 GMT")
        first = self._first()
        if first is None:
            self._whole(DATA, *said)
        else:
            self._part(DATA, first, *said)

    def bad_shorter_parts(self) -> None:
        first = self._first()
        if first is None:
            self._whole(DATA, 'ETag: "one"')
            return
        last = min(first + THIRD, len(DATA)) - 1
        self._head(
            "206 Partial Content",
            f"Content-Range: bytes {first}-{last}/{len(DATA)}",
            f"Content-Length: {last + 1 - first}",
            'ETag: "one"',
        )
        self.wfile.write(DATA[first : last + 1])

    def bad_weak(self) -> None:
        self._whole(DATA, 'ETag: W/"one"')

    def bad_changes(self) -> None:
        """Another version stands there by the second question, and it says so."""
        if self.site.cuts:
            self._whole(DATA, 'ETag: "one"')
        else:
            self._whole(OTHER, 'ETag: "two"')

    def _glues(self, *headers: str, said: str | None = None) -> None:
        first = self._first()
        if self.site.cuts:
            self._whole(DATA, 'ETag: "one"')
        elif first is None:
            self._whole(OTHER, 'ETag: "two"')
        else:
            self._part(OTHER, first, *headers, said=said)

    def bad_glues(self) -> None:
        self._glues('ETag: "two"')

    def bad_glues_silently(self) -> None:
        self._glues()

    def bad_elsewhere(self) -> None:
        self._glues('ETag: "one"', said=f"bytes 5-{len(OTHER) - 1}/{len(OTHER)}")

    def bad_other_total(self) -> None:
        self._glues('ETag: "one"', said=f"bytes {THIRD}-{len(OTHER)}/{len(OTHER) + 1}")

    def bad_no_range(self) -> None:
        self._glues('ETag: "one"', said="nonsense")

    def bad_other_amount(self) -> None:
        self._glues('ETag: "one"', said=f"bytes {THIRD}-{THIRD + 9}/{len(OTHER)}")

    def bad_no_more(self) -> None:
        if self._first() is not None:
            self._head("416 Range Not Satisfiable", "Content-Length: 0")
        else:
            self._whole(DATA, 'ETag: "one"')

    def bad_confirms_a_part(self) -> None:
        if self._first() is not None:
            self._head("304 Not Modified", 'ETag: "one"')
        else:
            self._whole(DATA, 'ETag: "one"')

    def bad_part_unasked(self) -> None:
        self._part(DATA, 10, 'ETag: "one"')

    def bad_confirms_unasked(self) -> None:
        self._head("304 Not Modified", 'ETag: "one"')

    def bad_confirms_another(self) -> None:
        if self.headers.get("If-None-Match"):
            self._head("304 Not Modified", 'ETag: "two"')
        else:
            self._whole(DATA, 'ETag: "one"')

    def bad_bomb(self) -> None:
        self._whole(gzip.compress(bytes(20_000_000)), "Content-Encoding: gzip")

    def bad_floods(self) -> None:
        self._head("200 OK", *(f"X-Header-{at}: {'x' * 1000}" for at in range(2000)))

    def bad_informs(self) -> None:
        while True:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.01)

    def bad_drips(self) -> None:
        self._head("200 OK", "Transfer-Encoding: chunked", 'ETag: "one"')
        while True:
            self.wfile.write(b"1\r\nx\r\n")
            self.site.dripped += 1
            time.sleep(0.01)

    def bad_endless(self) -> None:
        self._head("200 OK", "Transfer-Encoding: chunked")
        while True:
            self.wfile.write(b"2710\r\n" + bytes(10_000) + b"\r\n")

    def bad_huge(self) -> None:
        self._head("200 OK", f"Content-Length: {10**15}")

    def bad_to_a_file(self) -> None:
        self._head("302 Found", "Location: file:///etc/passwd", "Content-Length: 0")

    def bad_to_another(self) -> None:
        self._head("302 Found", f"Location: http://localhost:{self.site.port}/a")

    def bad_to_the_next(self) -> None:
        at = int(self.path.partition("?")[2] or 0)
        self._head("302 Found", f"Location: /to_the_next?{at + 1}", "Content-Length: 0")

    def bad_to_nowhere(self) -> None:
        self._head("302 Found", "Content-Length: 0")

    def bad_to_signed(self) -> None:
        self._head("302 Found", "Location: /a?X-Amz-Signature=signed-secret", "Content-Length: 0")

    def bad_busy(self) -> None:
        if self.site.cuts:
            self.site.cuts -= 1
            self._head("503 Service Unavailable", "Retry-After: 7", "Content-Length: 0")
        else:
            self._whole(DATA)

    def bad_very_busy(self) -> None:
        self._head("429 Too Many Requests", "Retry-After: 86400", "Content-Length: 0")

    def bad_fails(self) -> None:
        self._head("500 no secret-phrase here", "Content-Length: 0")

    def bad_other_digest(self) -> None:
        self._whole(DATA, f"Repr-Digest: sha-256=:{'A' * 43}=:", 'ETag: "one"')

    def bad_private(self) -> None:
        self._whole(DATA, "Cache-Control: no-store", 'ETag: "one"')
