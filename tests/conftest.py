"""Property tests judge what is computed, not how fast: the machine may be busy. And what takes long is begun first."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("spangate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spangate")

LONG = ("chaos", "scale", "e2e")  # folders; each of the first has files that take minutes


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """So that no process ends with a long one while the others have nothing left to do. Within a folder the order is random, as it was."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=rank)
