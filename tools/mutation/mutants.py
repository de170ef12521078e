"""The changes to one module: those of cosmic-ray, and those that make a check weaker.

Nothing is written to the checkout: a mutant is a text, and lives in the process that imports it.
"""

from __future__ import annotations

import ast
from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN = """
AddNot ReplaceUnaryOperator_Delete_Not ReplaceAndWithOr ReplaceOrWithAnd
ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceBreakWithContinue
ReplaceContinueWithBreak NumberReplacer ZeroIterationForLoop
"""
COMPARISONS = """
Eq_NotEq Eq_LtE Eq_GtE NotEq_Eq NotEq_Lt NotEq_Gt Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE
Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is
"""
ARITHMETIC = """
Add_Sub Sub_Add Mul_Add FloorDiv_Mul Mod_Mul LShift_RShift RShift_LShift BitOr_BitAnd
BitAnd_BitOr BitXor_BitOr
"""
OPERATORS = [
    *PLAIN.split(),
    *(f"ReplaceComparisonOperator_{each}" for each in COMPARISONS.split()),
    *(f"ReplaceBinaryOperator_{each}" for each in ARITHMETIC.split()),
]
"""Of those that cosmic-ray has, these: the others change the same places in less likely ways."""

CHECKS = ("drop", "ReplaceComparison", "AddNot", "ReplaceOr", "ReplaceAnd", "ReplaceUnary")
"""The changes that a check is loosened by: all of them are tried, of the others a sample."""


class Mutant(NamedTuple):
    """One change to a module."""

    module: str
    """Below ``ledger``, as ``tlog/note``."""
    line: int
    text: str
    """The line as it is, without what is around it."""
    change: str
    number: int
    """Of the changes of this kind, counted through the module from 0."""
    nth: int
    """And through the lines that read the same, from 1."""

    @property
    def loosens(self) -> bool:
        return self.change.startswith(CHECKS)

    @property
    def name(self) -> str:
        """What it is known by, wherever in the module its line is."""
        return f"{self.module}: {self.change} {self.nth}: {self.text}"

    def __str__(self) -> str:
        return f"{self.line}: {self.name}"


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every change there is to a module, in the order of its kinds."""
    lines = source.splitlines()
    original = _meaning(source)
    for kind, places in _places(source):
        seen: Counter[str] = Counter()
        for number, line in enumerate(places):
            text = lines[line - 1].strip()
            seen[text] += 1
            mutant = Mutant(module, line, text, kind, number, seen[text])
            try:
                changed = _meaning(mutated(mutant, source)) != original
            except SyntaxError:  # the bare * among parameters multiplies nothing
                continue
            if changed and mutant.text != "if TYPE_CHECKING:":
                yield mutant


def mutated(mutant: Mutant, source: str) -> str:
    """The module's text with the change."""
    if mutant.change in DROPS:
        tree = ast.parse(source)
        DROPS[mutant.change](tree)[mutant.number][1]()
        return ast.unparse(ast.fix_missing_locations(tree))
    operator = plugins.get_operator(f"core/{mutant.change}")()
    return mutate_code(source, operator, mutant.number) or source


def _places(source: str) -> Iterator[tuple[str, list[int]]]:
    for name, find in DROPS.items():
        yield name, [line for line, _ in find(ast.parse(source))]
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = plugins.get_operator(f"core/{name}")()
        yield name, [start[0] for node in nodes for start, _ in operator.mutation_positions(node)]


def _meaning(source: str) -> str:
    """What a text amounts to: annotations are never evaluated, and errors say what they like."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


# --- What makes a check weaker --------------------------------------------------------------------

Change = tuple[int, "Callable[[], None]"]


def _drop_statements(tree: ast.Module) -> list[Change]:
    """Leave out a raise, or a call that is made for its effect."""
    found: list[Change] = []
    for block in _blocks(tree):
        for index, node in enumerate(block):
            called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            if called or isinstance(node, ast.Raise):
                found.append((node.lineno, _replacing(block, index, ast.Pass())))
    return found


def _drop_guards(tree: ast.Module) -> list[Change]:
    """Leave out an ``if`` that leaves the function, or goes on with the loop."""
    found: list[Change] = []
    for block in _blocks(tree):
        for index, node in enumerate(block):
            leaves = (ast.Return, ast.Continue, ast.Break)
            if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], leaves):
                found.append((node.lineno, _replacing(block, index, ast.Pass())))
    return found


def _drop_operands(tree: ast.Module) -> list[Change]:
    """Leave out one part of an ``and`` or ``or``."""
    found: list[Change] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp):
            for index, value in enumerate(node.values):
                found.append((value.lineno, _without(node, index)))
    return found


def _drop_calls(tree: ast.Module) -> list[Change]:
    """Use what was given to a check of one argument, unchecked."""
    found: list[Change] = []
    for parent in ast.walk(tree):
        for name, child in ast.iter_fields(parent):
            if isinstance(child, ast.Call) and _checks(child):
                found.append((child.lineno, _setting(parent, name, deepcopy(child.args[0]))))
    return found


DROPS = {
    "drop a statement": _drop_statements,
    "drop a guard": _drop_guards,
    "drop an operand": _drop_operands,
    "drop a check": _drop_calls,
}


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _checks(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2].lstrip("_")
    return name.startswith(("check", "all", "any")) and len(call.args) == 1 and not call.keywords


def _replacing(block: list[ast.stmt], index: int, node: ast.stmt) -> Callable[[], None]:
    def change() -> None:
        block[index] = node

    return change


def _setting(parent: ast.AST, name: str, value: ast.AST) -> Callable[[], None]:
    return lambda: setattr(parent, name, value)


def _without(node: ast.BoolOp, index: int) -> Callable[[], None]:
    def change() -> None:
        del node.values[index]
        if len(node.values) == 1:  # the same as what is left
            node.values.append(deepcopy(node.values[0]))

    return change
