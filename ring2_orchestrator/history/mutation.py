"""Small faults of the kinds people make, put into Python source without touching the rest of it."""

import ast
import re
import warnings
from collections.abc import Iterator
from typing import NamedTuple

# What an operator looks like, and what becomes of it.
_OPERATORS: dict[type[ast.AST], tuple[bytes, bytes]] = {
    ast.Lt: (rb"<(?!=)", b"<="),
    ast.LtE: (rb"<=", b"<"),
    ast.Gt: (rb">(?!=)", b">="),
    ast.GtE: (rb">=", b">"),
    ast.Eq: (rb"==", b"!="),
    ast.NotEq: (rb"!=", b"=="),
    ast.In: (rb"\bin\b", b"not in"),
    ast.NotIn: (rb"\bnot\s+in\b", b"in"),
    ast.Is: (rb"\bis\b", b"is not"),
    ast.IsNot: (rb"\bis\s+not\b", b"is"),
    ast.Add: (rb"\+", b"-"),
    ast.Sub: (rb"-", b"+"),
    ast.Mult: (rb"\*", b"+"),
    ast.Div: (rb"/", b"*"),
    ast.FloorDiv: (rb"//", b"*"),
    ast.Mod: (rb"%", b"+"),
    ast.And: (rb"\band\b", b"or"),
    ast.Or: (rb"\bor\b", b"and"),
}
_DROPPED = (ast.Assign, ast.AugAssign, ast.Return, ast.Raise)
_DIGITS = re.compile(rb"[0-9]+")


class Mutation(NamedTuple):
    """One possible fault: its kind, its line, and which bytes become which."""

    kind: str
    line: int
    start: int
    end: int
    text: bytes

    def applied(self, source: bytes) -> bytes:
        """The source with the fault."""
        return source[: self.start] + self.text + source[self.end :]


def mutations(source: bytes) -> list[Mutation]:
    """Every fault that could be put in, in the order of places; none in what is no Python."""
    try:
        source.decode("utf-8")
        tree = _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    finder = _Finder(source)
    finder.visit(tree)
    return sorted(finder.found, key=lambda each: (each.start, each.kind))


def is_python(source: bytes) -> bool:
    """Whether it compiles."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "mutant.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():  # of old escapes and the like
        warnings.simplefilter("ignore")
        return ast.parse(source)


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes) -> None:
        self.found: list[Mutation] = []
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        if source.startswith(b"\xef\xbb\xbf"):  # columns are counted after the mark
            self._starts[0] = 3
        self._depth = 0

    # Where something is.

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None, "a parsed node has an end"
        assert node.end_col_offset is not None, "a parsed node has an end"
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> bytes:
        return self._source[self._start(node) : self._end(node)]

    def _add(self, kind: str, node: ast.expr | ast.stmt, start: int, end: int, text: bytes) -> None:
        self.found.append(Mutation(kind, node.lineno, start, end, text))

    def _operator(self, kind: str, left: ast.expr, right: ast.expr, now: ast.AST) -> None:
        """The operator between two expressions, where nothing else there looks like it."""
        change = _OPERATORS.get(type(now))
        if change is None:
            return
        start, end = self._end(left), self._start(right)
        between = self._source[start:end]
        places = list(re.finditer(change[0], between))
        if len(places) == 1 and b"#" not in between:
            at = places[0]
            self._add(kind, right, start + at.start(), start + at.end(), change[1])

    # What may be changed.

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave it: places inside are not told rightly by every Python."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Statements are only dropped inside functions."""
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """The same of one that waits."""
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    def visit_Compare(self, node: ast.Compare) -> None:
        """`<` for `<=`, `==` for `!=`, and so on."""
        operands = [node.left, *node.comparators]
        for at, operator in enumerate(node.ops):
            self._operator("comparison", operands[at], operands[at + 1], operator)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """`+` for `-`, and so on."""
        self._operator("arithmetic", node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`and` for `or`."""
        if len(node.values) == 2:
            self._operator("boolean", node.values[0], node.values[1], node.op)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A number off by one."""
        if type(node.value) is int and _DIGITS.fullmatch(self._text(node)):
            changed = str(node.value + 1).encode()
            self._add("constant", node, self._start(node), self._end(node), changed)

    def visit_If(self, node: ast.If) -> None:
        """A condition negated."""
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """The same within an expression."""
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        """The same of a loop."""
        self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        negated = b"not (" + self._text(test) + b")"
        self._add("condition", test, self._start(test), self._end(test), negated)

    def visit_Call(self, node: ast.Call) -> None:
        """Two arguments in each other's place."""
        if len(node.args) >= 2 and not any(isinstance(each, ast.Starred) for each in node.args[:2]):
            first, second = node.args[:2]
            between = self._source[self._end(first) : self._start(second)]
            swapped = self._text(second) + between + self._text(first)
            if self._text(first) != self._text(second):
                self._add("arguments", node, self._start(first), self._end(second), swapped)
        self.generic_visit(node)

    def visit(self, node: ast.AST) -> None:
        """Every simple statement of one line in a function may be forgotten."""
        if self._depth and isinstance(node, ast.stmt) and _is_droppable(node):
            self._add("statement", node, self._start(node), self._end(node), b"pass")
        super().visit(node)


def _is_droppable(node: ast.stmt) -> bool:
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return (call or isinstance(node, _DROPPED)) and node.lineno == node.end_lineno


def comment_places(source: bytes) -> Iterator[int]:
    """Where a line of comment may be put in: before the functions and classes of a module."""
    try:
        body = _parsed(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.splitlines(keepends=True)
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield sum(len(line) for line in lines[: first - 1])
