"""Who may import whom: the packages of lib in their order, and nothing but lib from lib."""

import subprocess
import sys

import pytest

from tests.imports import PROJECT, ROOMS, imported_by, modules

# Each package imports from those above it alone. The last but two stand side by side.
ORDER = {
    "data": 0,
    "models": 1,
    "embeddings": 2,
    "training": 3,
    "diagnosis": 4,
    "inference": 5,
    "pages": 5,
    "charts": 6,
    "study": 7,
}
TOP = {"lib.errors", "lib.files", "lib.intervals", "lib.multiplicity", "lib.progress"}
LIB = sorted(name for name in modules() if name.startswith("lib."))


def package(name):
    """`data` of `lib.data.cache`; nothing of a module that is in no package."""
    parts = name.split(".")
    return parts[1] if parts[0] == "lib" and len(parts) > 1 and parts[1] in ORDER else None


def test_every_module_of_lib_is_in_a_package_or_at_the_top():
    outside = {name for name in LIB if package(name) is None}
    assert outside == TOP


@pytest.mark.parametrize("name", LIB)
def test_a_module_imports_from_its_own_package_and_those_above(name):
    for other in imported_by(name):
        room, own, target = other.partition(".")[0], package(name), package(other)
        assert room not in set(ROOMS) - {"lib"}, f"{name} imports {other}"
        if target is None or target == own:
            continue
        assert own is not None, f"{name} imports {other}"
        assert ORDER[target] < ORDER[own], f"{name} imports {other}"


@pytest.mark.parametrize("name", ORDER)
def test_no_circle_within_a_package(name):
    inside = {m for m in LIB if package(m) == name and m != f"lib.{name}"}
    uses = {module: imported_by(module) & inside - {module} for module in inside}
    while free := {module for module, used in uses.items() if not used & uses.keys()}:
        for module in free:
            del uses[module]
    assert not uses, f"a circle among {sorted(uses)}"


def test_api_sees_inference_and_errors_of_lib_alone():
    for name in modules():
        if name.startswith("api"):
            seen = {m for m in imported_by(name) if m.partition(".")[0] == "lib"}
            assert seen <= {"lib.inference", "lib.errors"}, name


@pytest.mark.parametrize(
    ("loaded", "heavy"),
    [
        (
            "lib.inference",
            {"altair", "IPython", "pandas", "scipy", "captum", "sklearn", "onnx"}
            | {"torchvision", "lib.training.loop", "lib.data.dataset"},
        ),
        (
            "lib.charts.training, lib.charts.comparisons, lib.charts.classes, "
            "lib.charts.calibration, lib.charts.failures",
            {"torch", "captum"},
        ),
        ("lib.data.sources, lib.data.decoding", {"torch", "pandas"}),
        ("lib.diagnosis.heat", {"torch", "altair", "IPython", "pandas", "scipy"}),
    ],
)
def test_what_should_start_quickly_loads_nothing_heavy(loaded, heavy):
    code = f"import sys, {loaded}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert not heavy & set(done.stdout.split())
