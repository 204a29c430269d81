"""Every fault in a gene is one sentence at its place, with a way out where one is near."""

import pytest

from ring2_orchestrator.gene import Gene, GeneError
from ring2_orchestrator.toolbox import Toolbox

# The text, the line and column, and what the sentence says.
FAULTS = [
    ("", 1, 1, "a gene begins with its input"),
    ("# only a comment\n", 1, 1, "a gene begins with its input"),
    ("emit x", 1, 1, "a gene begins with its input"),
    ("input x\nemit x", 2, 1, "an input has a type"),
    ("input x: u9\nemit x", 1, 10, "no type named 'u9'; there are u8, u16"),
    ("input x: i16\nemit x", 1, 10, "declared by their width, u16"),
    ("input x: float64\nemit x", 1, 10, "no type named 'float64'"),
    ("input x: u8\ninput y: u8\nemit x", 2, 1, "a gene has one input"),
    ("input x: u8", 1, 7, "'x' is never used, so its bytes would be lost"),
    ("input x: u8\nemit", 2, 5, "a pipeline is missing"),
    ("input x: u8\nemit y", 2, 6, "no value named 'y'"),
    ("input values: u8\nemit valuse", 2, 6, "did you mean 'values'?"),
    ("input x: u8\nemit x |> dleta", 2, 11, "no kernel named 'dleta'; did you mean 'delta'?"),
    ("input x: u8\nemit x |> bitcats(to=u8)", 2, 11, "did you mean 'bitcast'?"),
    ("input x: u8\nemit x |> delta(ordr=1)", 2, 17, "did you mean 'order'?"),
    (
        "input x: u8\nemit x |> zigzag(order=1)",
        2,
        18,
        "'zigzag' has no parameter 'order'; it has none",
    ),
    ("input x: u8\nemit x |> delta(step=1)", 2, 17, "it has 'order' and 'lag'"),
    ("input x: u8\nemit x |> delta(order=9)", 2, 23, "order=9 is outside 1..8"),
    ("input x: u8\nemit x |> delta(lag=0)", 2, 21, "lag=0 is outside 1..65536"),
    ("input x: u8\nemit x |> delta(order=two)", 2, 23, "a whole number, not a word"),
    ("input x: u8\nemit x |> delta(order=1, order=2)", 2, 26, "'order' is given twice"),
    ("input x: u8\nemit x |> delta(lag=" + "9" * 30 + ")", 2, 21, "at most 20 digits"),
    ("input x: u8\nemit x |> delta(2)", 2, 17, "parameters are named, such as 'order=2'"),
    ("input x: u8\nemit x |> delta(order=)", 2, 23, "a parameter has a value"),
    ("input x: u8\nemit x |> delta(order=1", 2, 24, "the closing ')' is missing"),
    ("input x: u16\nemit x |> rans0", 2, 11, "rans0 takes u8, not u16; put 'bitcast(to=u8)'"),
    ("input x: f64\nemit x |> delta", 2, 11, "put 'bitcast(to=u64)' before it"),
    ("input x: u8\nemit x |> mantissa_quant", 2, 11, "takes f32 or f64, not u8"),
    ("input x: u8\nemit x |> bitcast(to=u16)", 2, 11, "its last element might not be whole"),
    ("input x: u8\nemit x |> bitcast", 2, 11, "a bitcast names its type"),
    (
        "input x: u8\nemit x |> bitcast(ot=u8)",
        2,
        19,
        "'bitcast' has no parameter 'ot'; it has 'to'",
    ),
    ("input x: u8\nemit x |> bitcast(to=u7)", 2, 22, "no type named 'u7'"),
    ("input x: u8\nemit x |> pass(a=1)", 2, 16, "'pass' has no parameters"),
    ("input x: u8\ny = x\nemit x", 3, 6, "'x' was already used (line 2)"),
    ("input x: u8\ny = x |> delta", 2, 1, "'y' is never used"),
    ("input x: u8\nx = x |> delta\nemit x", 2, 1, "'x' already has a meaning (line 1)"),
    ("input x: u8\na, a = x |> delta\nemit a", 2, 1, "2 names for 1 stream"),
    ("input x: u16\na, b, c = x |> byte_split\nemit a, b, c", 2, 1, "3 names for 2 streams"),
    ("input x: u16\na, b = x |> (byte_split | pass)\nemit a, b", 2, 1, "depends on the data"),
    ("input x: u8\nemit delta()", 2, 12, "')' cannot stand here"),
    ("input x: u8\nemit x | delta", 2, 8, "stages are joined by '|>'"),
    ("input x: u8\nemit x |> delta zigzag", 2, 23, "stages are joined by '|>'"),
    ("input x: u8\nemit x |>", 2, 10, "a stage is missing after '|>'"),
    ("input x: u8\nemit x |> (delta)", 2, 17, "a choice has at least two alternatives"),
    ("input x: u8\nemit x |> delta |> (zigzag | )", 2, 30, "an alternative is missing"),
    ("input x: u8\nemit x |> (delta | zigzag", 2, 26, "the closing ')' is missing"),
    ("input x: u8\nemit x )", 2, 8, "this ')' closes nothing"),
    ("input x: u16\nemit x |> (byte_split | pass) |> rans0", 2, 34, "rans0 takes u8, not u16"),
    ("input x: u8\nemit x |> ? |> rans0", 2, 11, "a hole stands at the end"),
    ("input x: u8\ny = x |> ?\nemit y", 2, 10, "a hole stands at the end"),
    ("input x: u8\nemit x |> (? | rans0)", 2, 12, "a hole stands at the end"),
    ("input x: u8\nemit x $ y", 2, 8, "the character '$' has no meaning here"),
    ("input x: u8\nemit x |> de\u200blta", 2, 13, "has no meaning here"),
    (
        "\ufeffinput x: u8\nemit x",
        1,
        1,
        "begins with a byte order mark, which cannot be seen",
    ),
    ("input x: u8\n\treturn x", 2, 9, "a statement is 'names = pipeline' or 'emit pipeline'"),
    ("input x: u8\nemit x |> " + "(" * 40, 2, 43, "parentheses nest at most 32 deep"),
    ("input x: u8\nemit x" + " " * 70_000, 1, 1, "a gene has at most 65,536 characters"),
]


@pytest.mark.parametrize(("text", "line", "column", "says"), FAULTS)
def test_a_fault_is_named_at_its_place(
    tools: Toolbox, text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(GeneError) as caught:
        Gene.parse(text, tools.palette, name="t.gene")
    error = caught.value
    assert says in error.message
    assert (error.at.line, error.at.column) == (line, column)
    assert str(error).startswith(f"t.gene:{line}:{column}: ")
    assert error.exit_code == 3


def test_the_caret_stands_under_the_fault(tools: Toolbox) -> None:
    with pytest.raises(GeneError) as caught:
        Gene.parse("input x: u8\nemit x |> dleta |> rans0", tools.palette, name="hello.gene")
    assert str(caught.value) == (
        "hello.gene:2:11: no kernel named 'dleta'; did you mean 'delta'?\n"
        "    emit x |> dleta |> rans0\n"
        "              ^"
    )


def test_a_tab_before_the_fault_keeps_the_caret_in_place(tools: Toolbox) -> None:
    with pytest.raises(GeneError) as caught:
        Gene.parse("input x: u8\n\temit y", tools.palette)
    assert str(caught.value).splitlines()[1:] == ["    \temit y", "    \t     ^"]
