"""Versions of libraries: which are installed, and where things were made with several."""

from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions, version


def library_versions(*modules: str, builds: bool = True) -> dict[str, str]:
    """Return the versions of the packages that these top-level modules come from, by module; of others nothing.

    Args:
        modules: their names.
        builds: whether to tell builds apart: 2.13.0+cpu, not 2.13.0.
    """
    packages = packages_distributions()
    found = {name: version(packages[name][0]) for name in sorted(modules) if name in packages}
    return found if builds else {name: number.partition("+")[0] for name, number in found.items()}


def differing(made_with: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, dict[str, list[str]]]:
    """Find the libraries of which there were several versions.

    Args:
        made_with: names of things, and what each was made with; a name may come again.

    Returns:
        Library -> version -> the things that were made with it.
    """
    found: dict[str, dict[str, dict[str, None]]] = {}
    for name, versions in made_with:
        for library, number in versions.items():
            found.setdefault(library, {}).setdefault(number, {})[name] = None
    several = {library: versions for library, versions in found.items() if len(versions) > 1}
    return {library: {number: [*names] for number, names in own.items()} for library, own in several.items()}
