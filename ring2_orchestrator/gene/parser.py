"""Text to syntax tree. The only module that speaks to lark."""

import functools
from importlib.resources import files
from typing import cast

import lark
from lark import Token

from ring2_orchestrator.gene.errors import GeneFault, Position
from ring2_orchestrator.gene.syntax import (
    Apply,
    Call,
    Choice,
    Emit,
    Hole,
    Let,
    Name,
    Pipe,
    Setting,
    Stage,
    Statement,
    Tree,
)

MAX_TEXT = 64 * 1024
MAX_NESTING = 32
MAX_DIGITS = 20

_Branch = lark.Tree[Token]

# What was probably meant, by examples of the mistake: an error that leaves the parser in the same
# state before the same kind of token is the same mistake. (Lark's own match_examples also compares
# the depth of the stack, so one example would not stand for the same mistake a stage later.)
_MISTAKES: dict[str, list[str]] = {
    "a gene begins with its input, such as 'input x: u8'": [
        "emit x",
        "y = x",
        "x",
        "u8",
        "|> a",
        "( a )",
        "",
    ],
    "an input has a type, such as 'input x: u8'": [
        "input x emit x",
        "input x y = x",
        "input x",
        "input x = u8",
        "input x :",
        "input x : emit x",
        "input x : 8",
        "input : u8",
    ],
    "stages are joined by '|>'; a single '|' stands between alternatives in parentheses": [
        "input x: u8 emit x | a",
        "input x: u8 y = x | a",
        "input x: u8 emit x |> a | b",
        "input x: u8 emit x |> a() | b",
        "input x: u8 emit x |> (a | b) | c",
        "input x: u8 emit f(x) | c",
    ],
    "a choice has at least two alternatives: '(a | b)'": [
        "input x: u8 emit x |> (a)",
        "input x: u8 emit x |> (a())",
        "input x: u8 emit x |> (a |> b)",
        "input x: u8 emit x |> (?)",
        "input x: u8 emit x |> ((a | b))",
    ],
    "an alternative is missing; 'pass' changes nothing": [
        "input x: u8 emit x |> (a | )",
        "input x: u8 emit x |> ( | a)",
        "input x: u8 emit x |> (a | | b)",
        "input x: u8 emit x |> ()",
    ],
    "a stage is missing after '|>'": [
        "input x: u8 emit x |>",
        "input x: u8 emit x |> emit y",
        "input x: u8 emit x |> |> a",
        "input x: u8 emit x |> , y",
        "input x: u8 emit x |> (a |> )",
        "input x: u8 emit x |> (a |> | b)",
    ],
    "parameters are named, such as 'order=2'": [
        "input x: u8 emit x |> a(1)",
        "input x: u8 emit x |> a(n=1, 2)",
        "input x: u8 emit x |> a(b)",
        "input x: u8 emit x |> a(b, c)",
        "input x: u8 emit a(1)",
        "input x: u8 emit a(x, 1)",
    ],
    "a parameter has a value, such as 'order=2'": [
        "input x: u8 emit x |> a(n=)",
        "input x: u8 emit x |> a(n=, m=1)",
        "input x: u8 emit x |> a(n=?, m=)",
        "input x: u8 emit a(x, n=)",
    ],
    "the closing ')' is missing": [
        "input x: u8 emit x |> a(n=1",
        "input x: u8 emit x |> a(n=1 emit y",
        "input x: u8 emit x |> a(n=1 |> b",
        "input x: u8 emit x |> a(",
        "input x: u8 emit x |> (a | b",
        "input x: u8 emit x |> (a | b emit y",
        "input x: u8 emit x |> (a | b()",
        "input x: u8 emit a(x",
        "input x: u8 emit a(x emit y",
        "input x: u8 emit a(x, n=1",
    ],
    "this ')' closes nothing": [
        "input x: u8 emit x )",
        "input x: u8 emit x |> a )",
        "input x: u8 emit x |> a() )",
        "input x: u8 y = x )",
        "input x: u8 )",
    ],
    "a pipeline is missing": [
        "input x: u8 emit",
        "input x: u8 emit emit x",
        "input x: u8 emit x,",
        "input x: u8 emit x, emit y",
        "input x: u8 y =",
        "input x: u8 y = emit x",
        "input x: u8 emit 1",
        "input x: u8 y = 1",
        "input x: u8 emit |> a",
        "input x: u8 y = |> a",
        "input x: u8 y = (a | b)",
        "input x: u8 emit (a | b)",
        "input x: u8 emit ?",
    ],
    "a statement is 'names = pipeline' or 'emit pipeline', and stages are joined by '|>'": [
        "input x: u8 y",
        "input x: u8 y emit x",
        "input x: u8 y z",
        "input x: u8 emit x y z",
        "input x: u8 emit x y |> a",
        "input x: u8 emit x y emit z",
        "input x: u8 y |> a",
        "input x: u8 y(x)",
        "input x: u8 |> a",
        "input x: u8 emit x = y",
        "input x: u8 emit x y",
        "input x: u8 a, b",
        "input x: u8 a, b emit x",
        "input x: u8 a, = x",
        "input x: u8 1",
        "input x: u8 ?",
        "input x: u8 (a)",
    ],
    "a gene has one input": [
        "input x: u8 input y: u8",
        "input x: u8 emit x input y: u8",
        "input x: u8, y: u8",
    ],
}


def parse(text: str) -> Tree:
    """The syntax tree of a gene's text. Raises GeneFault."""
    _check_size(text)
    try:
        tree = _tree(text)
    except lark.UnexpectedCharacters as error:
        shown = repr(text[error.pos_in_stream or 0])
        raise GeneFault(f"the character {shown} has no meaning here", _place(error)) from None
    except lark.UnexpectedInput as error:
        raise GeneFault(_explain(error), _where(error, text)) from None
    return _gene(tree)


@functools.cache
def _parser() -> lark.Lark:
    grammar = files("ring2_orchestrator.gene").joinpath("grammar.lark").read_text("utf-8")
    return lark.Lark(
        grammar,
        parser="lalr",
        # Not the contextual lexer: it would read a keyword as a name wherever only names fit.
        lexer="basic",
        start="gene",
        propagate_positions=True,
        maybe_placeholders=False,
    )


def _tree(text: str) -> _Branch:
    return _parser().parse(text)  # pyright: ignore[reportUnknownMemberType]


def _check_size(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise GeneFault(f"a gene has at most {MAX_TEXT:,} characters", Position(1, 1))
    depth = 0
    for at, line in enumerate(text.splitlines(), start=1):
        for column, letter in enumerate(line.partition("#")[0], start=1):
            depth += {"(": 1, ")": -1}.get(letter, 0)
            # The tree is walked recursively: its depth is bounded before it is built.
            if depth > MAX_NESTING:
                raise GeneFault(
                    f"parentheses nest at most {MAX_NESTING} deep", Position(at, column)
                )


def _explain(error: lark.UnexpectedInput) -> str:
    known = _lessons()
    state, kind = _situation(error)
    if (state, kind) in known:
        return known[state, kind]
    token = _token(error)
    return "the gene ends too early" if token is None else f"'{token}' cannot stand here"


@functools.cache
def _lessons() -> dict[tuple[int, str], str]:
    """The mistakes by the parser's state and the kind of token that could not stand there."""
    lessons: dict[tuple[int, str], str] = {}
    for label, examples in _MISTAKES.items():
        for example in examples:
            try:
                _tree(example)
            except lark.UnexpectedInput as error:
                lessons.setdefault(_situation(error), label)
    return lessons


def _situation(error: lark.UnexpectedInput) -> tuple[int, str]:
    assert isinstance(error, lark.UnexpectedToken), "characters are handled before tokens"
    state = cast("int", error.state.position)
    return state, cast("Token", error.token).type  # pyright: ignore[reportUnknownMemberType]


def _token(error: lark.UnexpectedInput) -> Token | None:
    """The token that could not stand there; None when the text had ended."""
    assert isinstance(error, lark.UnexpectedToken), "characters are handled before tokens"
    token = cast("Token", error.token)  # pyright: ignore[reportUnknownMemberType]
    return None if token.type == "$END" else token


def _place(error: lark.UnexpectedInput) -> Position:
    return Position(max(error.line, 1), max(error.column, 1))


def _where(error: lark.UnexpectedInput, text: str) -> Position:
    if _token(error) is None:
        # One past the last thing written, not past blank lines and comments that follow it.
        lines = [line.partition("#")[0].rstrip() for line in text.splitlines()]
        last = max((at for at, line in enumerate(lines) if line), default=0)
        return Position(last + 1, len(lines[last]) + 1 if lines else 1)
    return _place(error)


def _gene(tree: _Branch) -> Tree:
    name, dtype, *rest = tree.children
    statements = tuple(_statement(cast("_Branch", child)) for child in rest)
    return Tree(_name(name), _name(dtype), statements)


def _statement(tree: _Branch) -> Statement:
    if tree.data == "emit":
        pipes = tuple(_pipe(cast("_Branch", child)) for child in tree.children)
        return Emit(pipes, Position(tree.meta.line, tree.meta.column))
    names, pipe = cast("list[_Branch]", tree.children)
    return Let(tuple(map(_name, names.children)), _pipe(pipe))


def _pipe(tree: _Branch) -> Pipe:
    source, *stages = cast("list[_Branch]", tree.children)
    if source.data == "value":
        return Pipe(_name(source.children[0]), tuple(map(_stage, stages)))
    head, *rest = source.children
    arguments = cast("list[_Branch]", rest)
    settings = tuple(_setting(child) for child in arguments if child.data == "parameter")
    inputs = tuple(_pipe(child) for child in arguments if child.data == "pipe")
    return Pipe(Apply(Call(_name(head), settings), inputs), tuple(map(_stage, stages)))


def _stage(tree: _Branch) -> Stage:
    at = Position(tree.meta.line, tree.meta.column)
    if tree.data == "hole":
        return Hole(at)
    if tree.data == "choice":
        alternatives = cast("list[_Branch]", tree.children)
        return Choice(
            tuple(tuple(_stage(cast("_Branch", s)) for s in a.children) for a in alternatives), at
        )
    head, *settings = tree.children
    return Call(_name(head), tuple(_setting(cast("_Branch", child)) for child in settings))


def _setting(tree: _Branch) -> Setting:
    name, value = cast("list[Token]", tree.children)
    at = _at(value)
    if value.type == "UNKNOWN":
        return Setting(_name(name), None, at)
    if value.type == "NAME":
        return Setting(_name(name), str(value), at)
    # Python refuses to read very long numbers; no parameter needs more than 64 bits.
    if len(value.lstrip("-")) > MAX_DIGITS:
        raise GeneFault(f"a number has at most {MAX_DIGITS} digits", at)
    return Setting(_name(name), int(value), at)


def _name(token: object) -> Name:
    assert isinstance(token, Token)
    return Name(str(token), _at(token))


def _at(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1)
