"""How several processes share the suite: `pytest -n 2`, by pytest-xdist."""

import os

import pytest

# Each process takes whole files. One process takes all files of a folder that share what is
# expensive: the built sites, the services, Ray.
WHOLE = ("report", "api", "analysis")
WITH = {"lib/training/test_cluster.py": "analysis"}
LONGEST = (  # are begun first
    *("report", "test_end_to_end.py", "test_changing_pictures.py", "test_loop.py"),
    *("api", "analysis"),
)


def group(nodeid):
    """What a test is kept together with: `report`, or its file, as `lib/test_files.py`."""
    place = nodeid.partition("::")[0].removeprefix("tests/")
    folder = place.partition("/")[0]
    return folder if folder in WHOLE else WITH.get(place, place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hands out whole groups in the order of the tests.

    pytest-xdist's own `--dist loadgroup` keeps nothing together under pytest 9.2, and says nothing.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_modifyitems(items):
    """In several processes, the longest groups come first, so that both end at about one time."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        begun = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: begun.get(group(item.nodeid), len(LONGEST)))
