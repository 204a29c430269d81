"""Make a release from the commit that is checked out, and try it. Nothing is ever uploaded.

    python3 scripts/start.py release [--dry-run] [--output DIR]

Checked: the tree is clean, CHANGELOG.md begins with this version, and a tag of it, if there is one,
is of this commit. Made, from a clone of the commit: source distribution and wheel
(REDOXA_BUILD=release, hatch_build.py), twice and in two folders, which must give the same bytes; a
bill of materials (CycloneDX) of the wheel with what it depends on and what of others it holds; and
SHA-256 sums. Tried: `twine check`, that each licence is inside, and the demo under the wheel in a
new environment. All of it then lies in DIR (default: dist/VERSION). `--dry-run` does the same and
leaves nothing; then the tree may have changes, which are told, and are not in what is tried.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = Path("licenses", "parts.cdx.json")
DEMO = "demos/clean_weather.py"
SUMS = "SHA256SUMS"


class ReleaseError(Exception):
    """It is not to be released; the text says why, and what to do."""


def main(words: Sequence[str] | None = None) -> int:
    """Make it; 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(
        prog="release.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="leave nothing")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to (default: dist/VERSION)"
    )
    args = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="redoxa-release-") as work:
            release(Path(work), args.output, dry=args.dry_run)
    except ReleaseError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing was left")
        return 130
    return 0


def release(work: Path, output: Path | None, *, dry: bool) -> None:
    """All of it, in an empty folder; then what was made is put where it belongs."""
    changed = git(ROOT, "status", "--porcelain")
    if changed and not dry:
        raise ReleaseError(f"the tree has changes; commit them or put them away:\n{changed}")
    if changed:
        say("the tree has changes, which are not in what is tried here")
    first, second = (clone(work / name) for name in ("one", "another"))
    version = version_of(first)
    check_changes(first, version)
    check_tag(first, version)
    output = (output or ROOT / "dist" / version).absolute()
    if not dry and output.exists() and any(output.iterdir()):
        raise ReleaseError(f"{output} holds files; a release is made once: move them away")
    made = work / "made"
    build(first, made)
    build(second, work / "again")
    check_same(made, work / "again")
    (wheel,) = made.glob("*.whl")
    run(
        [sys.executable, "-m", "twine", "check", "--strict", *sorted(made.iterdir())], "twine check"
    )
    check_licences(wheel, first)
    (made / f"redoxa-{version}.cdx.json").write_text(materials(wheel, first, work), "utf-8")
    try_demo(wheel, first, version, work)
    (made / SUMS).write_text(sums(made), "utf-8")
    print((made / SUMS).read_text("utf-8"), end="")
    if dry:
        say(f"{version} can be released; nothing was left, as --dry-run asks")
        return
    shutil.copytree(made, output, dirs_exist_ok=True)
    say(f"{version} lies in {output}; to publish it, by hand:")
    say(f"  git tag -s v{version} && git push origin v{version}")
    say(f"  python -m twine upload {output}/*.whl {output}/*.tar.gz")


def clone(folder: Path) -> Path:
    """The commit that is checked out, and nothing that merely lies about."""
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    git(folder, "checkout", "--quiet", git(ROOT, "rev-parse", "HEAD"))
    return folder


def version_of(tree: Path) -> str:
    """The version, which is said in one place."""
    return tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def check_changes(tree: Path, version: str) -> None:
    """The change log tells of this version, first of all, and of something."""
    log = (tree / "CHANGELOG.md").read_text("utf-8")
    told = re.search(r"^## (\S+)[^\n]*\n(.*?)(?=^## |\Z)", log, re.MULTILINE | re.DOTALL)
    if told is None or told[1] != version:
        first = "nothing" if told is None else told[1]
        raise ReleaseError(
            f"CHANGELOG.md begins with {first} and pyproject.toml says {version}; make them agree"
        )
    if not told[2].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}; tell what changed")


def check_tag(tree: Path, version: str) -> None:
    """Where this version is tagged, it is this commit."""
    tagged = git(tree, "tag", "--list", f"v{version}")
    if tagged and git(tree, "rev-parse", f"v{version}^{{commit}}") != git(
        tree, "rev-parse", "HEAD"
    ):
        raise ReleaseError(
            f"v{version} is another commit; raise the version in pyproject.toml, or check that out"
        )


def build(tree: Path, into: Path) -> None:
    """Source distribution and, from it, the wheel; the time in them is the commit's."""
    settings = {
        "REDOXA_BUILD": "release",
        # Not shared by both builds, which are to have nothing in common but the commit.
        "ZIG_GLOBAL_CACHE_DIR": f"{into}.cache",
        "SOURCE_DATE_EPOCH": git(tree, "log", "-1", "--format=%ct"),
    }
    words = [sys.executable, "-m", "build", "--outdir", into, tree]
    run(words, f"building {into.name}", settings)


def check_same(one: Path, other: Path) -> None:
    """Both folders hold the same files, byte for byte."""
    names = sorted(path.name for path in one.iterdir())
    if names != sorted(path.name for path in other.iterdir()):
        raise ReleaseError("two builds gave files of different names; they must not differ")
    for name in names:
        if (one / name).read_bytes() != (other / name).read_bytes():
            raise ReleaseError(
                f"two builds gave two different {name}; find what of the machine is in it "
                "(diffoscope shows it), since nobody could rebuild and compare it"
            )


def check_licences(wheel: Path, tree: Path) -> None:
    """Each licence is in the wheel and named by it, and each part of others has one."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = archive.read(about).decode("utf-8").partition("\n\n")[0]
    told = set(re.findall(r"^License-File: (.+)$", fields, re.MULTILINE))
    folder = about.removesuffix("METADATA") + "licenses/"
    inside = {name.removeprefix(folder) for name in names if name.startswith(folder)}
    needed = {"LICENSE", *licences_of(tree)}
    if not needed <= told & inside:
        missing = ", ".join(sorted(needed - (told & inside)))
        raise ReleaseError(
            f"the wheel lacks the licence {missing}; see license-files in pyproject.toml"
        )


def licences_of(tree: Path) -> set[str]:
    """The licence files of the parts that others wrote."""
    parts = json.loads((tree / PARTS).read_text("utf-8"))["components"]
    return {
        entry["value"]
        for part in parts
        for entry in part["properties"]
        if entry["name"] == "redoxa:licence-file"
    }


def materials(wheel: Path, tree: Path, work: Path) -> str:
    """The bill of materials, as CycloneDX JSON: what is installed with the wheel, and is in it."""
    python = environment(work / "bare")
    install(python, str(wheel))
    words = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject"]
    words += [tree / "pyproject.toml", "--output-reproducible", "--short-PURLs", python]
    listed: dict[str, Any] = json.loads(run(words, "listing what is installed"))
    parts: list[dict[str, Any]] = json.loads((tree / PARTS).read_text("utf-8"))["components"]
    root: dict[str, Any] = listed["metadata"]["component"]
    root["purl"] = f"pkg:pypi/{root['name']}@{root['version']}"
    root["hashes"] = [{"alg": "SHA-256", "content": digest(wheel)}]
    # The wheel itself is what the list is of, not a part of it.
    name = root["name"]
    listed["components"] = [part for part in listed["components"] if part["name"] != name] + parts
    wheels = [at for at in listed["dependencies"] if at["ref"] != root["bom-ref"]]
    refs = [ref for at in listed["dependencies"] if at not in wheels for ref in at["dependsOn"]]
    refs = sorted({*refs, *(part["bom-ref"] for part in parts)})
    listed["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": refs}, *wheels]
    text = json.dumps(listed, indent=2, sort_keys=True) + "\n"
    check_materials(text)
    return text


def check_materials(text: str) -> None:
    """It is what the format's own schema says."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - of the extra `release`
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415 - as above

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise ReleaseError(f"the bill of materials is malformed: {error}")


def try_demo(wheel: Path, tree: Path, version: str, work: Path) -> None:
    """The demo as somebody has it who installed the wheel: run and recorded, then reused."""
    python = environment(work / "trial")
    install(python, f"{wheel}[plot]")
    redoxa = python.with_name("redoxa")
    place = work / "place"
    shutil.copytree(tree / "demos", place / "demos")
    settings = {"HOME": str(work), "REDOXA_HOME": str(work / "home")}
    # matplotlib lists the fonts when it is first used, which the next run would find changed.
    plain = [redoxa, "run", "--quiet", "--no-ce1", "--script", DEMO]
    said = run([redoxa, "--version"], "the version", settings, place)
    if said.split() != ["redoxa", version]:
        raise ReleaseError(f"the wheel of {version} calls itself {said.strip()!r}")
    run(plain, "the demo, plain", settings, place)
    for expected in ("recorded: ", "reused: "):
        words = [redoxa, "run", "--json", "--script", DEMO]
        answer = json.loads(run(words, "the demo", settings, place, stderr=True).splitlines()[-1])
        if not answer["message"].startswith(expected):
            raise ReleaseError(f"the demo was not {expected[:-2]} but {answer['message']}")


def environment(folder: Path) -> Path:
    """A new environment with nothing in it; its Python."""
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def install(python: Path, what: str) -> None:
    """Install into that environment, with the pip of this one."""
    words = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", what]
    run(words, f"installing {Path(what).name}")


def sums(folder: Path) -> str:
    """Lines for `sha256sum --check`."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{digest(path)}  {path.name}\n" for path in files)


def digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git(tree: Path, *words: str) -> str:
    """What git says, without the last newline."""
    return run(["git", "-C", tree, *words], f"git {words[0]}", quiet=True).rstrip("\n")


def run(
    words: Sequence[str | Path],
    what: str,
    settings: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    *,
    stderr: bool = False,
    quiet: bool = False,
) -> str:
    """Run a step and give what it printed (or said); it must end well."""
    if not quiet:
        say(what)
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise ReleaseError(f"{what} failed:\n{last}")
    return done.stderr if stderr else done.stdout


def say(text: str) -> None:
    """A message to the person."""
    print(f"redoxa: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
