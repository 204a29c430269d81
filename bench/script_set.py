"""A folder of real scripts of many lengths, some of which read what others write.

Tables are made, cleaned, summed up and reported by pandas; models are fitted by scikit-learn; what
numpy and the standard library do stands beside them. Nothing is drawn without a seed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

REGIONS = ("alps", "baltic", "coast", "delta", "east", "fjord")
# One core each, whatever library: two at a time are two cores.
_HEAD = """import os
for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"
"""

_MAKE = """
import numpy as np
rng = np.random.default_rng({seed})
rows = {rows}
day = rng.integers(0, 365, rows)
shop = rng.integers(0, 40, rows)
amount = rng.gamma(2.0, 30.0, rows).round(2)
os.makedirs("tables", exist_ok=True)
with open("tables/{region}.csv", "w") as file:
    file.write("day,shop,amount\\n")
    file.writelines(f"{{d}},{{s}},{{a}}\\n" for d, s, a in zip(day, shop, amount))
"""
_CLEAN = """
import pandas as pd
table = pd.read_csv("tables/{region}.csv")
table = table[table.amount > 5].drop_duplicates()
table["month"] = table.day // 31
table.to_csv("tables/{region}.clean.csv", index=False)
print(len(table))
"""
_SUM_UP = """
import pandas as pd
table = pd.read_csv("tables/{region}.clean.csv")
sums = table.groupby(["month", "shop"]).amount.agg(["sum", "mean", "median", "std"])
sums.to_csv("tables/{region}.sums.csv")
print(sums.describe())
"""
_REPORT = """
import glob, pandas as pd
parts = {{name: pd.read_csv(f"tables/{{name}}.sums.csv") for name in {regions!r}}}
whole = pd.concat(parts, names=["region"])
whole.groupby("region")["sum"].sum().to_csv("tables/report.csv")
print(whole["sum"].sum().round(2))
"""
_PRESS = """
import random, {module}
words = [f"w{{random.Random({seed} + at).getrandbits(14)}}" for at in range(30_000)]
text = " ".join(random.Random({seed}).choices(words, k={words})).encode()
packed = {module}.compress(text{options})
assert {module}.decompress(packed) == text
print(len(text), len(packed))
"""
_FIT = """
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.model_selection import cross_val_score
{imports}
model, (x, y) = {model}, {data}
print(cross_val_score(model, x, y, cv={folds}).round(4))
"""
_NUMPY = """
# svd
a = rng.normal(size=(900, 600)); print(np.linalg.svd(a)[1][:3].round(6))
# fft
a = rng.normal(size=1 << 21)
for _ in range(6): a = np.fft.irfft(np.fft.rfft(a))
print(a[:3].round(6))
# walks
print(np.abs(rng.choice([-1, 1], (4000, 4000)).cumsum(1)).max(1).mean())
# life
a = rng.integers(0, 2, (700, 700))
for _ in range(150):
    n = sum(np.roll(a, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - a
    a = ((n == 3) | (a & (n == 2))).astype(int)
print(a.sum())
# fractal
c = np.linspace(-2, 1, 900) + 1j * np.linspace(-1, 1, 600)[:, None]
z = np.zeros_like(c); k = np.zeros(c.shape, int)
for _ in range(80):
    m = abs(z) < 2; z[m] = z[m] ** 2 + c[m]; k += m
print(k.sum())
# sorts
print(np.sort(rng.normal(size=8_000_000))[::1_000_000].round(6))
"""
_PLAIN = """
# primes
n = 6_000_000; s = bytearray([1]) * n
for p in range(2, 2450):
    if s[p]: s[p * p::p] = bytes(len(s[p * p::p]))
print(sum(s) - 2)
# queens
def go(n, r=0, c=0, a=0, b=0):
    if r == n:
        return 1
    free = ~(c | a | b) & ((1 << n) - 1)
    found = 0
    while free:
        bit = free & -free
        free -= bit
        found += go(n, r + 1, c | bit, (a | bit) << 1, (b | bit) >> 1)
    return found
print(go(10))
# sqlite
import sqlite3
db = sqlite3.connect(':memory:')
db.execute('create table t(a, b)')
rows = ((i * 7919 % 100003, str(i)) for i in range(400_000))
db.executemany('insert into t values(?, ?)', rows)
db.execute('create index i on t(a)')
print(db.execute('select count(distinct a), max(b) from t').fetchone())
# json
import json
rows = [{'id': i, 'name': f'n{i}', 'tags': [i % 7, i % 11]} for i in range(200_000)]
assert json.loads(json.dumps(rows)) == rows
print(len(rows))
# keys
import hashlib
print(hashlib.pbkdf2_hmac('sha256', b'key', b'salt', 1_500_000).hex())
# differences
import difflib, random
r = random.Random(1)
a = [str(r.getrandbits(5)) for _ in range(900)]
b = [x for x in a if r.random() > .1]
print(difflib.SequenceMatcher(None, a, b, autojunk=False).ratio())
# fractions
from fractions import Fraction
print(str(sum((Fraction(1, n) for n in range(1, 3000)), Fraction(0)))[:20])
# syntax
import ast, pathlib
paths = sorted(pathlib.Path(ast.__file__).parent.glob('*.py'))
print(sum(1 for path in paths for _ in ast.walk(ast.parse(path.read_bytes()))) > 0)
"""
_MODELS: Mapping[str, tuple[str, str, str, int]] = {
    "forest": ("sklearn.ensemble", "RandomForestClassifier(150, random_state=0)", "digits", 5),
    "boosting": ("sklearn.ensemble", "GradientBoostingClassifier(random_state=0)", "wine", 5),
    "neighbours": ("sklearn.neighbors", "KNeighborsClassifier()", "digits", 5),
    "machine": ("sklearn.svm", "SVC(kernel='linear')", "digits", 10),
    "tree": ("sklearn.tree", "DecisionTreeClassifier(random_state=0)", "breast_cancer", 10),
    "network": ("sklearn.neural_network", "MLPClassifier(random_state=0)", "digits", 3),
    "bayes": ("sklearn.naive_bayes", "GaussianNB()", "wine", 5),
}  # fmt: skip


def sources() -> Iterator[tuple[str, str]]:
    """The name and the text of every script, in the order of their names."""
    yield from sorted(_all())


def write(folder: Path) -> int:
    """Put them all there; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        (folder / f"{name}.py").write_text(_HEAD + text, encoding="utf-8")
        for name, text in sources()
    ]
    return len(written)


def _all() -> Iterator[tuple[str, str]]:
    for at, region in enumerate(REGIONS):
        yield f"make_{region}", _MAKE.format(region=region, seed=at, rows=60_000 * (1 + at))
        yield f"clean_{region}", _CLEAN.format(region=region)
        yield f"sums_{region}", _SUM_UP.format(region=region)
    yield "report", _REPORT.format(regions=REGIONS)
    for at, (module, options) in enumerate(
        [("zlib", ", 9"), ("bz2", ""), ("lzma", ""), ("lzma", ", preset=9"), ("bz2", ", 1")]
    ):
        for size in (60_000, 500_000):
            name = f"press_{at}_{module}_{size // 1000}k"
            yield name, _PRESS.format(module=module, options=options, seed=at, words=size)
    for name, (module, model, data, folds) in _MODELS.items():
        made = f"load_{data}(return_X_y=True)"
        imports = f"from {module} import {model.partition('(')[0]}"
        yield f"fit_{name}", _FIT.format(imports=imports, model=model, data=made, folds=folds)
    for name, text in _parts(_NUMPY):
        yield f"array_{name}", f"import numpy as np\nrng = np.random.default_rng(7)\n{text}"
    for name, text in _parts(_PLAIN):
        yield f"plain_{name}", text


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The scripts in one text, each below its name."""
    for part in filter(None, text.split("# ")):
        name, _, body = part.strip().partition("\n")
        if body:
            yield name, body + "\n"
