"""The designs: which population is drawn how often, and what its intervals are about."""

from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.simulation.populations import Domain, Hubs, Mixture, Population, RealLayers, Words

NEIGHBOURS = ("knn_purity", "nn1_accuracy", "r_precision", "map_at_r")
CLUSTERS = ("nmi", "ami", "ari", "cluster_accuracy")
FEW_SHOT = ("few_shot_accuracy_1", "few_shot_accuracy_5")
CHEAP = (*CLUSTERS, *NEIGHBOURS, "silhouette", "collapse")

QUALITY = (0.42, 0.48, 0.56, 0.66, 0.78, 0.92, 0.98, 0.86, 0.72)


@dataclass(frozen=True)
class Design:
    """One design of the simulation.

    Attributes:
        population: what is drawn.
        target: `images`: classes and networks are fixed, other images are drawn; `classes`: everything is drawn anew.
        folds, classes, images, seeds: of one data set; images of a class.
        halves: of a fold's images.
        tau: training noise, of all layers or of each.
        metrics: scores.
        first_network: layers of the first of two networks; None of one network.
    """

    population: Population
    target: Literal["images", "classes"]
    folds: int = 4
    classes: int = 5
    images: int = 20
    seeds: int = 1
    halves: int = 0
    tau: Any = 0.05
    metrics: tuple[str, ...] = CHEAP
    first_network: int | None = None


def of_images(population: Population, **settings: Any) -> Design:
    """A design about other images of fixed classes: one fold, 40 halves, no training noise."""
    defaults = {"folds": 1, "images": 50, "halves": 40, "tau": 0.0, "metrics": (*CHEAP, *FEW_SHOT)}
    return Design(population, "images", **(defaults | settings))


def scaled(factor: float) -> tuple[float, ...]:
    """The layers' quality, all larger or smaller."""
    return tuple(factor * quality for quality in QUALITY)


DESIGNS: dict[str, Design] = {
    # Other images of these classes.
    "null": of_images(Mixture((0.0,))),
    "weak": of_images(Mixture((2.0,))),
    "strong": of_images(Mixture((4.0,))),
    "wide": of_images(Mixture((4.0,), D=64)),
    "other": of_images(Mixture((3.0,), D=16), classes=10, images=30),
    "alike": of_images(Mixture((2.5,) * 5), metrics=CHEAP),
    "apart": of_images(Mixture((2.0, 2.8, 3.2, 3.0, 2.4)), metrics=CHEAP),
    "words": of_images(Words((1.2, 1.5, 1.9, 1.6, 1.5), (0.8, 0.8, 0.8, 0.9, 1.65)), images=100, metrics=CHEAP),
    "bistable": of_images(Words((1.5,) * 5, (1.65,) * 5), images=100, metrics=CHEAP),
    "hubs": of_images(Hubs((0.15, 0.25, 0.2)), metrics=CHEAP),
    "calligraphy_images": of_images(RealLayers("calligraphy", fixed=True), metrics=CHEAP),
    "cifar100_images": of_images(RealLayers("cifar100", fixed=True), metrics=CHEAP),
    "two_networks_images": of_images(
        Mixture((2.0, 2.8, 2.4, 2.1, 2.6, 2.3)), metrics=("nmi", *NEIGHBOURS), first_network=3
    ),
    "two_equal_networks_images": of_images(Mixture((2.0, 2.8, 2.4) * 2), metrics=("nmi", *NEIGHBOURS), first_network=3),
    # Other classes of the domain, training repeated.
    "base": Design(Domain(QUALITY), "classes", metrics=(*CHEAP, *FEW_SHOT)),
    "more_images": Design(Domain(QUALITY), "classes", images=50),
    "noisy_training": Design(Domain(QUALITY), "classes", tau=0.15),
    "deep_training": Design(Domain(QUALITY), "classes", tau=tuple(0.3 * (layer / 8) ** 3 for layer in range(9))),
    "deep_two_seeds": Design(
        Domain(QUALITY), "classes", seeds=2, tau=tuple(0.3 * (layer / 8) ** 3 for layer in range(9))
    ),
    "equal_layers": Design(Domain((0.78,) * 9), "classes"),
    "last_best": Design(Domain(tuple(sorted(QUALITY))), "classes"),
    "small_lead": Design(Domain((*QUALITY[:8], 0.86)), "classes"),
    "alike_classes": Design(Domain(QUALITY, families=5, kinship=0.7), "classes"),
    "easy": Design(Domain(scaled(1.7)), "classes"),
    "hard": Design(Domain(scaled(0.6)), "classes"),
    "calligraphy": Design(RealLayers("calligraphy"), "classes", metrics=(*CHEAP, *FEW_SHOT)),
    "cifar100": Design(RealLayers("cifar100"), "classes"),
    "two_networks": Design(
        Domain((*QUALITY, *scaled(0.8)), networks=2), "classes", seeds=2, metrics=("nmi", *NEIGHBOURS), first_network=9
    ),
    "two_equal_networks": Design(
        Domain((*QUALITY, *QUALITY), networks=2), "classes", seeds=2, metrics=("nmi", *NEIGHBOURS), first_network=9
    ),
}
