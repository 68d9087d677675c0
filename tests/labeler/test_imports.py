"""Who imports whom in the labeler, as its source says: annotations and late imports included."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "labeler").rglob("*.py"))
}
PACKAGES = [module for module, path in SOURCES.items() if path.name == "__init__.py"]
AT_HOME = {"labeler", "PIL", *sys.stdlib_module_names}
# The rules that study and labeler share, which need no more than the labeler does.
SHARED = {"lib.data.names", "lib.data.picture_files", "lib.data.tables", "lib.data", "lib.errors"}
LATE = {"labeler.suggestions": {"lib"}, "labeler.recording": {"sklearn"}}


def modules_imported(node):
    """Absolute names of what the import statements under a node import."""
    for statement in ast.walk(node):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, "imports are absolute"
            for alias in statement.names:
                inner = f"{statement.module}.{alias.name}"
                yield inner if inner in SOURCES else statement.module


def imports_of(module):
    return set(modules_imported(ast.parse(SOURCES[module].read_text(encoding="utf-8"))))


def late_imports_of(module):
    """What only functions import."""
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {name for function in functions for name in modules_imported(function)}


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imports_of(module) & set(SOURCES) for module in SOURCES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order[-1] == "labeler.__main__"
    assert "labeler.window.window" in order


@pytest.mark.parametrize("module", [m for m in SOURCES if m.startswith("labeler.record")])
def test_the_record_knows_nothing_of_the_window(module):
    assert not [name for name in imports_of(module) if name.startswith(("labeler.window", "tk"))]


@pytest.mark.parametrize("module", SOURCES)
def test_only_the_standard_library_and_pillow_are_needed(module):
    strangers = {
        name for name in imports_of(module) - SHARED if name.partition(".")[0] not in AT_HOME
    }
    assert {name.partition(".")[0] for name in strangers} == LATE.get(module, set())
    assert strangers <= late_imports_of(module)


def rooms_of(package):
    """The modules and packages that a package's docstring lists, in its order."""
    tree = ast.parse(SOURCES[package].read_text(encoding="utf-8"))
    listed = ast.get_docstring(tree).splitlines()
    names = [line.split()[0] for line in listed if line.startswith("    ")]
    return [f"{package}.{name.removesuffix('/').removesuffix('.py')}" for name in names]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_its_modules_and_imports_nothing(package):
    folder = SOURCES[package].parent
    inside = {m for m, path in SOURCES.items() if path.parent == folder} - {package}
    inside |= {m for m in PACKAGES if SOURCES[m].parent.parent == folder}
    assert sorted(rooms_of(package)) == sorted(inside - {"labeler.__main__"})
    assert imports_of(package) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_imports_only_from_those_listed_above_it(package):
    rooms = rooms_of(package)

    def place(module):
        inside = [n for n, room in enumerate(rooms) if f"{module}.".startswith(f"{room}.")]
        return inside[0] if inside else None

    for module in SOURCES:
        for imported in imports_of(module) & set(SOURCES):
            here, there = place(module), place(imported)
            if None not in (here, there) and here != there:
                assert there < here, f"{module} imports {imported}"
