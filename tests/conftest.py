import gc
import importlib.metadata
import os
from functools import cache

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side

# What is installed stays the same while tests run; to read it takes half a second, once or twice in each stage.
importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the collector of garbage from the libraries: they stay, and it would go through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
