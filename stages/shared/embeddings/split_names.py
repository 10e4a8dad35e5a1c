"""Names of splits: prepare makes the plain ones, measure the matched selections."""

TRAIN = "train"
"""Training images of the seen classes; embedded only at the last checkpoint."""

SEEN = "test"
"""Other images of the seen classes."""

UNSEEN = "unseen"
"""Images of classes that were not fine-tuned on; pre-training may have seen such."""

SEEN_MATCHED, UNSEEN_MATCHED = "seen_matched", "unseen_matched"
"""Selections of both of as many classes, and as many images of each class."""

BASELINE = "pixels"
"""The layer of raw pixels, with which layers are compared."""
