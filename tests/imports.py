"""The project's modules and what they import, read from their source."""

import ast
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[1]
ROOMS = ("lib", "analysis", "report", "api", "labeler")


@cache
def modules() -> dict[str, Path]:
    """The file of each module of the rooms, by its dotted name; a package is its `__init__`."""
    found = {}
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            parts = path.relative_to(PROJECT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported_by(name: str) -> frozenset[str]:
    """The dotted names that a module imports, anywhere in its source: `lib.files`, `torch.nn`."""
    found = set()
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = inner & modules().keys()
            found |= submodules or {str(node.module)}
            if len(submodules) < len(inner):
                found.add(str(node.module))
    return frozenset(found)


def reached_from(name: str) -> set[str]:
    """The project's modules that a module imports, directly or through others, and itself."""
    reached, todo = set(), [name]
    while todo:
        module = todo.pop()
        if module in modules() and module not in reached:
            reached.add(module)
            todo += imported_by(module)
    return reached - {"lib", "lib.models", "lib.training", "lib.data"}
