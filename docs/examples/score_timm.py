"""Embed a folder of images, one folder per class, at every stage of a timm network, with timm alone.

python docs/examples/score_timm.py IMAGES resnet18 embeddings.npz
whichlayer score embeddings.npz
"""

import argparse

import numpy as np
import timm
import torch
from timm.data import create_transform, resolve_model_data_config
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder


def main() -> None:
    """Write an array per stage, and the images' classes and paths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="a folder that holds a folder of images per class")
    parser.add_argument("model", help="a network of timm, for example resnet18")
    parser.add_argument("out", help="the .npz file to write")
    parser.add_argument("--random-weights", action="store_true", help="take no pre-trained weights")
    args = parser.parse_args()

    model = timm.create_model(args.model, pretrained=not args.random_weights).eval()
    images = ImageFolder(args.images, create_transform(**resolve_model_data_config(model)))
    batches = []
    with torch.inference_mode():
        for pixels, _ in DataLoader(images, batch_size=32):
            maps = model.forward_intermediates(pixels, output_fmt="NCHW", intermediates_only=True)
            batches.append([each.mean((2, 3)).numpy() for each in maps])  # one vector per image: the mean over space
    layers = {f"stage{depth}": np.concatenate(parts) for depth, parts in enumerate(zip(*batches, strict=True))}

    labels = [images.classes[target] for target in images.targets]
    np.savez(args.out, labels=np.array(labels), ids=np.array([path for path, _ in images.samples]), **layers)


if __name__ == "__main__":
    main()
