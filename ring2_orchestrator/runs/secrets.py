"""Which variables and files are secret: no byte of them is kept, and a change counts all the same.

The list and the file that extends it are described in docs/runs.md.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from cid_store.errors import InputError
from ring2_orchestrator.plainfile import read_plain
from ring2_orchestrator.runs.paths import name_of, shown

RULES_FILE = "secrets"

VARIABLES = (
    "*TOKEN*", "*SECRET*", "*PASSWORD*", "*PASSWD*", "*PASSPHRASE*", "*CREDENTIAL*", "*APIKEY*",
    "*PRIVATE_KEY*", "*ACCESS_KEY*", "*COOKIE*", "*WEBHOOK*", "*CONNECTION_STRING*", "*_KEY",
    "*_PASS", "*_PAT", "*_PWD", "*_AUTH", "*_DSN", "DATABASE_URL", "REDIS_URL",
)  # fmt: skip
FILES = (
    ".env", ".env.*", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".git-credentials", ".npmrc",
    ".pypirc", ".htpasswd", ".vault-token", ".s3cfg", ".boto", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk", "*.pem", "*.p12", "*.pfx", "*.jks", "*.ppk",
    "*.kdbx", "*.keystore", "credentials.json", "client_secret*.json", "secrets.yml",
    "secrets.yaml", "secrets.json", "secrets.toml", ".cargo/credentials", ".cargo/credentials.toml",
    ".docker/config.json", ".ssh/", ".gnupg/", ".aws/", ".azure/", ".kube/", ".password-store/",
    ".config/gcloud/", ".config/gh/", ".config/rclone/", ".local/share/keyrings/",
    "/etc/shadow", "/etc/gshadow", "/etc/ssl/private/", "/run/secrets/",
)  # fmt: skip
PUBLIC_FILES = (".env.example", ".env.sample", ".env.template", ".ssh/*.pub", ".ssh/known_hosts")

# A shorter value stands in many texts by chance.
_LEAST_BYTES = 8
_MOST_BYTES = 1 << 16  # of a secret file that is looked for in what a run leaves
_READ_BYTES = 1 << 20
_PRIVATE_KEY = b"PRIVATE KEY-----"
# As in .env, .netrc, JSON and YAML; and as in the URLs of .git-credentials.
_NAMED_VALUE = rb"""([A-Za-z_][A-Za-z0-9_.-]*)["']?(?:\s*[=:]\s*|[ \t]+)(\S+)"""
_IN_URL = rb"://[^/\s:@]*:([^/\s@]+)@"
_ANY = "*?"  # what stands for other letters in a pattern


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Rules(NamedTuple):
    """What counts as secret by name; a rule that says `public` outweighs one that does not."""

    variables: Sequence[str]
    files: Sequence[str]
    public_variables: Sequence[str] = ()
    public_files: Sequence[str] = PUBLIC_FILES

    @classmethod
    def of(cls, home: Path) -> Self:
        """The list we ship and what the person added. Raises InputError for a line that is none."""
        path = home / RULES_FILE
        added: dict[str, list[str]] = {name: [] for name in cls._fields}
        try:
            text = os.fsdecode(read_plain(path))
        except FileNotFoundError:
            text = ""
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            public = words[0] == "public"
            kind, pattern = (words[public : public + 1] or [""])[0], " ".join(words[public + 1 :])
            if kind not in ("variable", "file") or not pattern:
                raise InputError(
                    f"line {number} of {path} is no rule; write `variable PATTERN` or "
                    "`file PATTERN`, with `public` in front for what is none"
                )
            added[f"public_{kind}s" if public else f"{kind}s"].append(pattern)
        return cls(
            variables=(*VARIABLES, *added["variables"]),
            files=(*FILES, *added["files"]),
            public_variables=tuple(added["public_variables"]),
            public_files=(*PUBLIC_FILES, *added["public_files"]),
        )


class Secrets:
    """The rules for one run, and the bytes that must not be found in anything kept of it.

    `seal` makes of a secret file's digest what may be kept of it.
    """

    def __init__(
        self, rules: Rules, env: Mapping[str, str], seal: Callable[[bytes], bytes]
    ) -> None:
        self.seal = seal
        home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - text, not a path
        self._variables = _Names(map(str.upper, rules.variables))
        self._public_variables = _Names(map(str.upper, rules.public_variables))
        # Most paths lie in few folders and have no name like any of these: a run has thousands.
        self._last_names = _Names(
            rule.rpartition("/")[2] for rule in rules.files if rule[-1] != "/"
        )
        self._folders = _Paths((rule for rule in rules.files if rule[-1] == "/"), home)
        self._files = _Paths(rules.files, home)
        self._public_files = _Paths(rules.public_files, home)
        self._below: dict[bytes, bool] = {}
        self._marks: dict[bytes, str] = {}
        for name, value in env.items():
            if self.is_variable(name):
                self._learn(os.fsencode(value), f"${name}")

    @classmethod
    def of(cls, home: Path, env: Mapping[str, str], seal: Callable[[bytes], bytes]) -> Self:
        """Those of a home, for a run in that environment. Raises InputError."""
        return cls(Rules.of(home), env, seal)

    def is_variable(self, name: str) -> bool:
        """Whether a variable of that name holds a secret."""
        raw = os.fsencode(name.upper())
        return self._variables.hold(raw) and not self._public_variables.hold(raw)

    def is_file(self, path: bytes) -> bool:
        """Whether a file at that absolute path is secret."""
        name = name_of(path)
        folder = path[: len(path) - len(name)]
        below = self._below.get(folder)
        if below is None:
            below = self._below[folder] = self._folders.hold(folder)
        if not below and not self._last_names.hold(name):
            return False
        return self._files.hold(path) and not self._public_files.hold(path)

    def learn_file(self, path: bytes, content_at: bytes) -> None:
        """Look out for what a secret file holds, which can be read at another place, too."""
        try:
            with open(content_at, "rb") as file:  # noqa: PTH123 - a bytes path
                data = file.read(_MOST_BYTES)
        except OSError:
            return
        if not _holds_secret(path, data):
            return
        self._learn(data.strip(), shown(path))
        for found in re.finditer(_NAMED_VALUE, data):
            if self.is_variable(found[1].decode().replace("-", "_")):
                self._learn(found[2].strip(b"\"',;"), shown(path))
        for found in re.finditer(_IN_URL, data):
            self._learn(found[1], shown(path))

    def _learn(self, value: bytes, source: str) -> None:
        # The path of a key is none.
        if len(value) >= _LEAST_BYTES and not (value[:1] == b"/" and os.path.lexists(value)):
            self._marks.setdefault(value, source)

    def found_in(self, data: bytes) -> str | None:
        """Where a secret comes from that stands in the data, as `$NAME` or a path; None if none."""
        return next((source for mark, source in self._marks.items() if mark in data), None)

    def found_in_stream(self, file: _Readable) -> str | None:
        """The same for what a file holds from here on."""
        if not self._marks:
            return None
        longest, tail = max(map(len, self._marks)), b""
        while block := file.read(_READ_BYTES):
            tail += block
            if (source := self.found_in(tail)) is not None:
                return source
            tail = tail[-(longest - 1) :]
        return None

    def is_kept_file(self, path: bytes, data: _Readable) -> bool:
        """Whether what a file holds may be kept, which a certificate called *.pem may."""
        return not self.is_file(path) or (
            name_of(path).endswith(b".pem") and not _holds_secret(path, data.read(_MOST_BYTES))
        )

    def hidden(self, words: Sequence[str]) -> list[str]:
        """The words with `$NAME` for each value of a secret variable in them."""
        return [self._hidden(word) for word in words]

    def _hidden(self, word: str) -> str:
        data = os.fsencode(word)
        # The longest first: one value may be part of another.
        for mark in sorted(self._marks, key=len, reverse=True):
            data = data.replace(mark, os.fsencode(self._marks[mark]))
        return os.fsdecode(data)


def _holds_secret(path: bytes, data: bytes) -> bool:
    """A certificate called *.pem is there to be shown; what else has a secret name is secret."""
    return not path.endswith(b".pem") or _PRIVATE_KEY in data


class _Names:
    """Patterns for one name. No expression is compiled for those that are a word and stars."""

    def __init__(self, patterns: Iterable[str]) -> None:
        whole: list[bytes] = []
        begins: list[bytes] = []
        ends: list[bytes] = []
        self._within: list[bytes] = []
        rest: list[str] = []
        for pattern in patterns:
            word = os.fsencode(pattern.strip("*"))
            first, last = pattern[:1] == "*", pattern[-1:] == "*"
            if b"*" in word or b"?" in word or not word or "**" in pattern:
                rest.append(pattern)
            elif first and last:
                self._within.append(word)
            else:
                (ends if first else begins if last else whole).append(word)
        self._whole, self._begins, self._ends = frozenset(whole), tuple(begins), tuple(ends)
        self._rest = b"|".join(os.fsencode(_glob(at)) for at in rest)

    def hold(self, name: bytes) -> bool:
        """Whether one of them means that name, which has no slash."""
        if name in self._whole or name.startswith(self._begins) or name.endswith(self._ends):
            return True
        if any(word in name for word in self._within):
            return True
        return bool(self._rest) and re.fullmatch(self._rest, name) is not None


class _Paths:
    """Patterns for paths; one that ends in `/` means all that lies below a folder.

    No expression is compiled for such folders, unless there are stars in them.
    """

    def __init__(self, patterns: Iterable[str], home: str) -> None:
        self._below: list[bytes] = []
        above: list[bytes] = []
        self._rules: list[str] = []
        for pattern in patterns:
            if pattern.startswith("~/"):
                pattern = os.path.realpath(home) + pattern[1:]  # noqa: PLW2901 - spelled out
            if not pattern.endswith("/") or any(at in pattern for at in _ANY):
                self._rules.append(pattern)
            elif pattern[0] == "/":
                above.append(os.fsencode(pattern))
            else:
                self._below.append(os.fsencode(f"/{pattern}"))
        self._above = tuple(above)

    def hold(self, path: bytes) -> bool:
        """Whether one of them means that absolute path, or a folder above it."""
        if path.startswith(self._above) or any(folder in path for folder in self._below):
            return True
        return self._expression is not None and self._expression.search(path) is not None

    @cached_property
    def _expression(self) -> re.Pattern[bytes] | None:
        # Hardly any run comes upon a path that has to be asked about so closely.
        return re.compile(b"|".join(map(_path_expression, self._rules))) if self._rules else None


def _path_expression(pattern: str) -> bytes:
    start = "^" if pattern.startswith("/") else "/"
    end = "" if pattern.endswith("/") else "$"
    return os.fsencode(f"{start}{_glob(pattern)}{end}")


def _glob(pattern: str) -> str:
    """A pattern in which `*` stands for any letters of one name, and `?` for one."""
    parts = {"*": "[^/]*", "?": "[^/]"}
    return "".join(parts.get(letter, re.escape(letter)) for letter in pattern)
