"""The designs: which population is drawn how often, and what its intervals are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.simulation.populations import Domain, Hubs, Mixture, Population, RealLayers, Words
from tests.bench.simulation.structured import HubClasses, Pairs, Species, Uneven, Writers

NEIGHBOURS = ("knn_purity", "nn1_accuracy", "r_precision", "map_at_r")
CLUSTERS = ("nmi", "ami", "ari", "cluster_accuracy")
FEW_SHOT = ("few_shot_accuracy_1", "few_shot_accuracy_5")
UNCLUSTERED = (*NEIGHBOURS, "silhouette", "collapse")
CHEAP = (*CLUSTERS, *UNCLUSTERED)
TWO = ("nmi", *NEIGHBOURS, "silhouette")
"""Of designs of two networks."""

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
    metrics: tuple[str, ...] = CHEAP
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
    "weak": of_images(
        "class means 2 standard deviations apart, 8 dimensions", Mixture((2.0,)), metrics=(*CHEAP, *FEW_SHOT)
    ),
    "strong": of_images("4 standard deviations", Mixture((4.0,))),
    "wide": of_images("4 standard deviations, 64 dimensions", Mixture((4.0,), D=64)),
    "other": of_images("10 classes of 30 images", Mixture((3.0,), D=16), classes=10, images=30),
    "alike": of_images("five equally good layers", Mixture((2.5,) * 5), alike=equal(5)),
    "apart": of_images("five layers of different quality", Mixture((2.0, 2.8, 3.2, 3.0, 2.4))),
    "words": of_images(
        "sub-clusters: the last layer's best clustering flips with the images",
        Words((1.2, 1.5, 1.9, 1.6, 1.5), (0.8, 0.8, 0.8, 0.9, 1.65)),
        images=100,
    ),
    "bistable": of_images("sub-clusters: all layers flip", Words((1.5,) * 5, (1.65,) * 5), images=100, alike=equal(5)),
    "hubs": of_images("lengths of images vary, 256 dimensions", Hubs((0.15, 0.25, 0.2))),
    "calligraphy_images": of_images("fitted to real layers: calligraphy", RealLayers("calligraphy", fixed=True)),
    "cifar100_images": of_images("fitted to real layers: CIFAR-100", RealLayers("cifar100", fixed=True)),
    "writers2_crossing": writers(2, nested=False),
    "writers3_crossing": writers(3, nested=False),
    "writers6_crossing": writers(6, nested=False),
    "writers10_crossing": writers(10, nested=False),
    "writers2_nested": writers(2, nested=True),
    "writers3_nested": writers(3, nested=True),
    "writers6_nested": writers(6, nested=True),
    "writers10_nested": writers(10, nested=True),
    "pairs": of_images("near duplicates in pairs, not said to be any", Pairs(EFFECTS)),
    "pairs_known": of_images("near duplicates in pairs, given as groups", Pairs(EFFECTS, known=True)),
    "uneven_images": of_images("classes of 5, 11, 23, 35 and 47 images", Uneven(EFFECTS, (5, 11, 23, 35, 47))),
    "layers24_images": of_images("24 equally good layers", Mixture((2.5,) * 24), alike=equal(24), images=30),
    "copies_images": of_images(
        "the best layer and the last twice, exactly alike",
        Mixture((2.0, 2.8, 2.4), repeat=(0, 1, 1, 2, 2)),
        alike=(0, 1, 1, 2, 2),
    ),
    "two_networks_images": of_images(
        "two networks of three layers, the first better",
        Mixture((2.0, 2.8, 2.4, 2.1, 2.6, 2.3)),
        metrics=TWO,
        first_network=3,
    ),
    "two_equal_networks_images": of_images(
        "two equal networks of three layers",
        Mixture((2.0, 2.8, 2.4) * 2),
        metrics=TWO,
        first_network=3,
        alike=(0, 1, 2) * 2,
    ),
    "flat_and_peak_images": of_images(
        "nine equal layers against one of nine as good",
        Mixture((2.6,) * 10 + (1.4,) * 8),
        metrics=TWO,
        first_network=9,
        alike=equal(10) + (1,) * 8,
    ),
    # Other classes of the domain, training repeated.
    "base": of_classes("nine layers, the best is the 7th", Domain(QUALITY)),
    "more_images": of_classes("50 images a class", Domain(QUALITY), images=50),
    "noisy_training": of_classes("three times the training noise", Domain(QUALITY), tau=0.15),
    "deep_training": of_classes("training noise of up to 0.3 in deep layers alone", Domain(QUALITY), tau=DEEP),
    "deep_two_seeds": of_classes("the same, two seeds", Domain(QUALITY), seeds=2, tau=DEEP),
    "equal_layers": of_classes("nine equally good layers", Domain((0.78,) * 9)),
    "last_best": of_classes("the last layer is the best", Domain(tuple(sorted(QUALITY)))),
    "small_lead": of_classes("an earlier layer leads by 0.03", Domain((*QUALITY[:8], 0.86))),
    "alike_classes": of_classes("classes of few families", Domain(QUALITY, families=5, kinship=0.7)),
    "easy": of_classes("all layers better", Domain(scaled(1.7))),
    "hard": of_classes("all layers worse", Domain(scaled(0.6))),
    "calligraphy": of_classes(
        "fitted to real layers: calligraphy", RealLayers("calligraphy"), metrics=(*CHEAP, *FEW_SHOT)
    ),
    "cifar100": of_classes("fitted to real layers: CIFAR-100", RealLayers("cifar100")),
    "folds3": of_classes("three folds", Species(SPECIES), folds=3),
    "folds4": of_classes("four folds", Species(SPECIES)),
    "folds5": of_classes("five folds", Species(SPECIES), folds=5),
    "classes4": of_classes("4 classes left out at a time", Species(SPECIES), classes=4),
    "classes10": of_classes("10 classes at a time", Species(SPECIES), classes=10, starts=12),
    "classes25": of_classes(
        "25 classes at a time, in 20 groups", Species(SPECIES), classes=25, images=12, metrics=UNCLUSTERED
    ),
    "classes50": of_classes(
        "50 classes at a time, in 20 groups", Species(SPECIES), classes=50, images=8, metrics=UNCLUSTERED
    ),
    "equal_species": of_classes("nine equally good layers", Species((1.0,) * 9), alike=equal(9)),
    "equal_species3": of_classes("nine equally good layers, three folds", Species((1.0,) * 9), folds=3, alike=equal(9)),
    "layers24": of_classes(
        "24 layers, the best is the 17th", Species(tuple(1.2 - 0.7 * abs(x / 23 - 0.7) for x in range(24)))
    ),
    "layers24_equal": of_classes("24 equally good layers", Species((1.0,) * 24), alike=equal(24)),
    "uneven": of_classes("classes of 5 to 47 images", Species(SPECIES, sizes=(5, 47))),
    "copies": of_classes(
        "the best layer and the last twice, exactly alike",
        Species((0.6, 0.8, 1.1, 0.9), repeat=(0, 1, 2, 2, 3, 3)),
        alike=(0, 1, 2, 2, 3, 3),
    ),
    "one_noisy_layer": of_classes(
        "nine equal layers, training noise of 0.5 in the 5th alone",
        Species((1.0,) * 9),
        tau=ONE_NOISY,
        alike=(0,) * 4 + (1,) + (0,) * 4,
    ),
    "failed_training": of_classes(
        "training fails in 15 % of the folds, above all in deep layers", Species(SPECIES, failing=0.15)
    ),
    "failed_training5": of_classes("the same, five folds", Species(SPECIES, failing=0.15), folds=5),
    "hubs_low": of_classes(
        "lengths of images vary, six equal layers, near chance", HubClasses((0.35,) * 6), alike=equal(6)
    ),
    "hubs_middle": of_classes("the same, of middle height", HubClasses((0.65,) * 6), alike=equal(6)),
    "hubs_high": of_classes("the same, high", HubClasses((1.2,) * 6), alike=equal(6)),
    "hubs_middle3": of_classes("of middle height, three folds", HubClasses((0.65,) * 6), folds=3, alike=equal(6)),
    "two_networks": of_classes(
        "two networks of nine layers, two seeds",
        Domain((*QUALITY, *scaled(0.8)), networks=2),
        seeds=2,
        metrics=TWO,
        first_network=9,
    ),
    "two_equal_networks": of_classes(
        "two equal networks of nine layers, two seeds",
        Domain((*QUALITY, *QUALITY), networks=2),
        seeds=2,
        metrics=TWO,
        first_network=9,
    ),
    "flat_and_peak": of_classes(
        "nine equal layers against one of nine as good",
        Species((1.2,) * 9 + PEAK, networks=2),
        metrics=TWO,
        first_network=9,
        alike=(*equal(9), 1, 2, 3, 4, 5, 0, 6, 7, 8),
    ),
    "flat24_and_peak": of_classes(
        "24 equal layers against one of 24 as good",
        Species((1.2,) * 24 + (0.8,) * 16 + (1.2,) + (0.8,) * 7, networks=2),
        metrics=TWO,
        first_network=24,
        alike=equal(24) + (1,) * 16 + (0,) + (1,) * 7,
    ),
    "checkpoints": of_classes(
        "the last checkpoint, five of nine layers alike, against the first, one of nine as good",
        Species((0.8, 1.0, 1.0) + (1.2,) * 5 + (1.0,) + PEAK, networks=2, kinship=0.6),
        metrics=TWO,
        first_network=9,
        alike=(3, 5, 5, *equal(5), 5, 1, 2, 3, 4, 5, 0, 5, 4, 3),
    ),
    # Other classes of the domain, the network as it is.
    "frozen10": frozen("10 classes", Species(SPECIES), 10),
    "frozen15": frozen("15 classes", Species(SPECIES), 15),
    "frozen20": frozen("20 classes", Species(SPECIES), 20, metrics=UNCLUSTERED),
    "frozen_equal": frozen(
        "15 classes, nine equally good layers", Species((1.0,) * 9), 15, metrics=UNCLUSTERED, alike=equal(9)
    ),
    "frozen_uneven": frozen("15 classes of 5 to 47 images", Species(SPECIES, sizes=(5, 47)), 15, metrics=UNCLUSTERED),
    "frozen_calligraphy": frozen("15 classes, fitted to real layers: calligraphy", RealLayers("calligraphy"), 15),
    "frozen_hubs": frozen(
        "15 classes, lengths of images vary, six equal layers", HubClasses((0.65,) * 6), 15, alike=equal(6)
    ),
    "frozen_kinds": frozen("15 classes, 30 % of them hard", Species(scaled(1.6, SPECIES), hard=0.3), 15),
    "frozen_3x4": frozen("three sets of 4", Species(SPECIES), 4, folds=3),
    "frozen_3x5": frozen("three sets of 5", Species(SPECIES), 5, folds=3),
    "frozen_5x10": frozen("five sets of 10", Species(SPECIES), 10, folds=5, metrics=UNCLUSTERED),
    "frozen_3x5_equal": frozen("the same, nine equally good layers", Species((1.0,) * 9), 5, folds=3, alike=equal(9)),
    "frozen_3x5_uneven": frozen(
        "three sets of 5 classes of 5 to 47 images", Species(SPECIES, sizes=(5, 47)), 5, folds=3
    ),
    "frozen_3x5_kinds": frozen("three sets of 5, 30 % hard", Species(scaled(1.6, SPECIES), hard=0.3), 5, folds=3),
    "frozen_3x4_kinds": frozen("three sets of 4, 30 % hard", Species(scaled(1.6, SPECIES), hard=0.3), 4, folds=3),
    "frozen_3x5_hubs": frozen(
        "three sets of 5, lengths of images vary, six equal layers", HubClasses((0.65,) * 6), 5, folds=3, alike=equal(6)
    ),
    "frozen_3x5_hubs_low": frozen("the same, near chance", HubClasses((0.35,) * 6), 5, folds=3, alike=equal(6)),
    "frozen_3x5_calligraphy": frozen("three sets of 5, fitted to real layers", RealLayers("calligraphy"), 5, folds=3),
}
