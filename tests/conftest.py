import importlib.metadata
from functools import cache

# What is installed stays the same while tests run; to read it takes half a second, once or twice in each stage.
importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
