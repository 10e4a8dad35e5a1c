"""The designs: which population is drawn how often, and what its intervals are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.simulation.populations import Domain, Hubs, Mixture, Population, RealLayers
from tests.bench.simulation.structured import HubClasses, Pairs, Species, Uneven, Writers

UNCLUSTERED = ("knn_purity", "nn1_accuracy", "r_precision", "map_at_r", "silhouette")
ALL = ("nmi", "ami", *UNCLUSTERED)
TWO = ("nmi", *UNCLUSTERED)
"""Of designs of two networks."""

PROBED = ("probe_accuracy",)
RISE = (0.45, 0.6, 0.7, 0.55)
"""Quality of the layers of which the probe is fitted."""

QUALITY = (0.42, 0.48, 0.56, 0.66, 0.78, 0.92, 0.98, 0.86, 0.72)
SPECIES = (0.5, 0.6, 0.7, 0.85, 1.0, 1.15, 1.25, 1.1, 0.9)
PEAK = (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.0, 0.9, 0.8)
EFFECTS = (2.0, 2.6, 3.2, 3.0, 2.4)
DEEP = tuple(0.3 * (layer / 8) ** 3 for layer in range(9))
ONE_NOISY = tuple(0.5 if layer == 4 else 0.0 for layer in range(9))


@dataclass(frozen=True)
class Design:
    """One design of the simulation.

    Attributes:
        about: what is drawn, in a few words.
        population: what draws it.
        target: what is drawn anew: `images`: images of fixed classes, by fixed networks; `classes`: everything;
            `frozen`: classes, by a network that no fold trains.
        folds, classes, images, seeds: of one data set; images of a class.
        halves: of a fold's images.
        tau: training noise, of all layers or of each.
        starts: of k-means; on halves half as many.
        metrics: scores.
        first_network: layers of the first of two networks; None of one network.
        alike: a label for each layer: equal ones have equal expected scores by construction; None: all differ.
    """

    about: str
    population: Population
    target: Literal["images", "classes", "frozen"]
    folds: int = 4
    classes: int = 5
    images: int = 20
    seeds: int = 1
    halves: int = 0
    tau: Any = 0.05
    starts: int = 30
    metrics: tuple[str, ...] = ALL
    first_network: int | None = None
    alike: tuple[int, ...] | None = None


def of_images(about: str, population: Population, **settings: Any) -> Design:
    """A design about other images of fixed classes: one fold, 40 halves, no training noise."""
    return Design(about, population, "images", **({"folds": 1, "images": 50, "halves": 40, "tau": 0.0} | settings))


def of_classes(about: str, population: Population, **settings: Any) -> Design:
    """A design about other classes of the domain, training repeated: four folds of 5 classes of 20 images."""
    return Design(about, population, "classes", **settings)


def frozen(about: str, population: Population, classes: int, **settings: Any) -> Design:
    """A design about other classes of the domain, by a network as it is: mostly one fold, no training noise."""
    defaults = {"folds": 1, "classes": classes, "images": 15, "tau": 0.0, "starts": 12}
    return Design(about, population, "frozen", **(defaults | settings))


def probed(about: str, population: Population, **settings: Any) -> Design:
    """A design about the probe on other classes, by a network as it is: 12 classes of 25 images."""
    return frozen(about, population, **({"classes": 12, "images": 25, "metrics": PROBED} | settings))


def scaled(factor: float, quality: Sequence[float] = QUALITY) -> tuple[float, ...]:
    """The layers' quality, all larger or smaller."""
    return tuple(factor * each for each in quality)


def writers(number: int, *, nested: bool) -> Design:
    """A design about images of other writers: 5 classes of 60 images."""
    about = f"{number} writers {'of each class' if nested else 'who write all classes'}"
    return of_images(about, Writers(EFFECTS, number, nested=nested), images=60)


def equal(layers: int) -> tuple[int, ...]:
    """Labels of layers that are all alike."""
    return (0,) * layers


DESIGNS: dict[str, Design] = {
    # Other images of these classes.
    "null": of_images("no difference between the classes", Mixture((0.0,))),
    "alike": of_images("five equally good layers", Mixture((2.5,) * 5), alike=equal(5)),
    "apart": of_images("five layers of different quality", Mixture((2.0, 2.8, 3.2, 3.0, 2.4))),
    "hubs": of_images("distances from the common mean vary, 256 dimensions", Hubs((0.15, 0.25, 0.2))),
    "calligraphy_images": of_images("fitted to real layers: calligraphy", RealLayers("calligraphy", fixed=True)),
    "cifar100_images": of_images("fitted to real layers: CIFAR-100", RealLayers("cifar100", fixed=True)),
    "writers6_crossing": writers(6, nested=False),
    "writers3_nested": writers(3, nested=True),
    "writers6_nested": writers(6, nested=True),
    "pairs": of_images("near duplicates in pairs, not declared as groups", Pairs(EFFECTS)),
    "pairs_known": of_images("near duplicates in pairs, declared as groups", Pairs(EFFECTS, known=True)),
    "uneven_images": of_images("classes of 5, 11, 23, 35 and 47 images", Uneven(EFFECTS, (5, 11, 23, 35, 47))),
    "two_networks_images": of_images(
        "two networks of three layers, the first better",
        Mixture((2.0, 2.8, 2.4, 2.1, 2.6, 2.3)),
        metrics=TWO,
        first_network=3,
    ),
    # Other classes of the domain, training repeated.
    "deep_training": of_classes("training noise of up to 0.3, only in deep layers", Domain(QUALITY), tau=DEEP),
    "calligraphy": of_classes("fitted to real layers: calligraphy", RealLayers("calligraphy")),
    "cifar100": of_classes("fitted to real layers: CIFAR-100", RealLayers("cifar100")),
    "folds3": of_classes("three folds", Species(SPECIES), folds=3),
    "folds4": of_classes("four folds", Species(SPECIES)),
    "folds5": of_classes("five folds", Species(SPECIES), folds=5),
    "classes4": of_classes("4 unseen classes per fold", Species(SPECIES), classes=4),
    "classes10": of_classes("10 unseen classes per fold", Species(SPECIES), classes=10, starts=12),
    "classes25": of_classes(
        "25 unseen classes per fold, in 20 groups", Species(SPECIES), classes=25, images=12, metrics=UNCLUSTERED
    ),
    "equal_species": of_classes("nine equally good layers", Species((1.0,) * 9), alike=equal(9)),
    "layers24_equal": of_classes("24 equally good layers", Species((1.0,) * 24), alike=equal(24)),
    "uneven": of_classes("classes of 5 to 47 images", Species(SPECIES, sizes=(5, 47))),
    "copies": of_classes(
        "the best layer and the last layer, each with an exact copy",
        Species((0.6, 0.8, 1.1, 0.9), repeat=(0, 1, 2, 2, 3, 3)),
        alike=(0, 1, 2, 2, 3, 3),
    ),
    "one_noisy_layer": of_classes(
        "nine equal layers, training noise of 0.5 only in the 5th",
        Species((1.0,) * 9),
        tau=ONE_NOISY,
        alike=(0,) * 4 + (1,) + (0,) * 4,
    ),
    "failed_training": of_classes(
        "training fails in 15 % of the folds, above all in deep layers", Species(SPECIES, failing=0.15)
    ),
    "hubs_low": of_classes(
        "distances from the common mean vary, six equal layers, near chance", HubClasses((0.35,) * 6), alike=equal(6)
    ),
    "hubs_middle": of_classes("the same, of middle height", HubClasses((0.65,) * 6), alike=equal(6)),
    "flat_and_peak": of_classes(
        "two networks: nine equally good layers, and nine of which one is as good",
        Species((1.2,) * 9 + PEAK, networks=2),
        metrics=TWO,
        first_network=9,
        alike=(*equal(9), 1, 2, 3, 4, 5, 0, 6, 7, 8),
    ),
    "checkpoints": of_classes(
        "the last checkpoint has five equally good layers of nine, the first has one as good",
        Species((0.8, 1.0, 1.0) + (1.2,) * 5 + (1.0,) + PEAK, networks=2, kinship=0.6),
        metrics=TWO,
        first_network=9,
        alike=(3, 5, 5, *equal(5), 5, 1, 2, 3, 4, 5, 0, 5, 4, 3),
    ),
    # Other classes of the domain, the network as it is.
    "frozen10": frozen("10 classes", Species(SPECIES), 10),
    "frozen_3x4": frozen("three sets of 4", Species(SPECIES), 4, folds=3),
    "frozen_3x5": frozen("three sets of 5", Species(SPECIES), 5, folds=3),
    "frozen_5x10": frozen("five sets of 10", Species(SPECIES), 10, folds=5, metrics=UNCLUSTERED),
    "frozen_3x5_equal": frozen(
        "three sets of 5, nine equally good layers", Species((1.0,) * 9), 5, folds=3, alike=equal(9)
    ),
    "frozen_3x5_uneven": frozen(
        "three sets of 5 classes of 5 to 47 images", Species(SPECIES, sizes=(5, 47)), 5, folds=3
    ),
    "frozen_3x5_kinds": frozen("three sets of 5, 30 % hard", Species(scaled(1.6, SPECIES), hard=0.3), 5, folds=3),
    "frozen_3x4_kinds": frozen("three sets of 4, 30 % hard", Species(scaled(1.6, SPECIES), hard=0.3), 4, folds=3),
    "frozen_3x5_hubs": frozen(
        "three sets of 5, distances from the common mean vary, six equal layers",
        HubClasses((0.65,) * 6),
        5,
        folds=3,
        alike=equal(6),
    ),
    "frozen_3x5_hubs_low": frozen("the same, near chance", HubClasses((0.35,) * 6), 5, folds=3, alike=equal(6)),
    "frozen_3x5_calligraphy": frozen("three sets of 5, fitted to real layers", RealLayers("calligraphy"), 5, folds=3),
    # The linear probe: other classes, the network as it is or trained again.
    "probe12": probed("12 classes", Species(RISE, D=16)),
    "probe12_uneven": probed("12 classes of 6 to 60 images", Species(RISE, sizes=(6, 60), D=16)),
    "probe12_kinds": probed("12 classes, 30 % hard", Species(scaled(1.6, RISE), hard=0.3, D=16)),
    "probe12_equal": probed("12 classes, four equally good layers", Species((0.6,) * 4, D=16), alike=equal(4)),
    "probe15_families": probed("15 classes in 4 families, of sub-clusters", Domain(RISE, families=4, D=32), classes=15),
    "probe20": probed("20 classes of 20 images", Species(RISE, D=16), classes=20, images=20),
    "probe25": probed("25 classes of 20 images, in 20 groups", Species(RISE, D=16), classes=25, images=20),
    "probe15_calligraphy": probed(
        "15 classes, fitted to real layers", RealLayers("calligraphy"), classes=15, images=20
    ),
    "probe_3x5": probed("three sets of 5", Species(RISE, D=16), classes=5, folds=3),
    "probe_folds3": of_classes("three folds", Species(RISE, D=16), folds=3, metrics=PROBED),
    "probe_folds4": of_classes("four folds", Species(RISE, D=16), metrics=PROBED),
    "probe_deep_training": of_classes(
        "training noise of up to 0.3, only in deep layers",
        Domain(RISE, D=16),
        tau=(0.0, 0.02, 0.1, 0.3),
        metrics=PROBED,
    ),
}

FIRST = {
    name
    for name, design in DESIGNS.items()
    if design.target == "frozen" or isinstance(design.population, RealLayers | Hubs | HubClasses)
}
"""Designs that are drawn most often: of frozen networks, fitted to real layers, or with hubs."""
