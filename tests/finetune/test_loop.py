import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers.optimization import get_linear_schedule_with_warmup

from stages.finetune.loop import FineTuning, make_optimizer, training_batches
from stages.finetune.params import FinetuneParams
from stages.shared.images.image_store import PackedImages
from stages.shared.networks.device import Compute
from stages.shared.networks.network import Network
from stages.shared.networks.transforms import Transform, draw_angles
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.seeding import child_seed
from tests.packed import pack

SIZE, SEED, LENGTH = 16, 5, 40
HALF = (0.5, 0.5, 0.5)
COMPUTE = Compute(torch.device("cpu"), "no")
VALUES = {
    "steps": [0, 4, 13], "keep": "all", "schedule_epochs": None, "schedule_steps": LENGTH, "learning_rate": 0.02,
    "batch_size": 7, "weight_decay": 0.0, "clip_norm": 0.5, "augment": {"degrees": 10.0, "padding": 20},
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> PackedImages:
    return pack(tmp_path_factory.mktemp("packed") / "d", size=SIZE).in_memory()  # 24 train: batches of 7, 7, 7, 3


def network(*layers: nn.Module) -> Network:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Network(nn.Sequential(*body, nn.Dropout(0.2), nn.Linear(4, 3)), ("6",), Transform(SIZE, HALF, HALF, True))


def training(images: PackedImages, net: Network, **changes: Any) -> FineTuning:
    params = FinetuneParams.model_validate({**VALUES, **changes})
    return FineTuning(net, images, params, LENGTH, SEED, COMPUTE)


def test_weights_equal_a_plain_loop(images: PackedImages):
    net = network()
    module = copy.deepcopy(net.module).to(memory_format=torch.channels_last)
    training(images, net).run(lambda step: None)

    optimizer = torch.optim.AdamW(
        module.parameters(), lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, fused=True
    )
    schedule = get_linear_schedule_with_warmup(optimizer, 0, LENGTH)
    transform = Transform(SIZE, HALF, HALF, True)
    torch.manual_seed(child_seed(SEED, "finetune", "dropout"))
    generator = torch.Generator().manual_seed(child_seed(SEED, "finetune", "rotation"))
    train = images.rows("train")  # 8 images per class, in order
    order = np.concatenate(
        [np.random.default_rng(child_seed(SEED, "finetune", "shuffle", e)).permutation(24) for e in range(4)]
    )
    cuts = [(24 * e + i, 24 * e + min(i + 7, 24)) for e in range(4) for i in (0, 7, 14, 21)]
    for start, end in cuts[:13]:
        places = order[start:end]
        rows = train[places]
        angles = draw_angles(len(rows), 10, generator)
        inputs = transform.training(torch.from_numpy(images.read(rows)), angles, padding=20, fill=255)
        loss = functional.cross_entropy(module(inputs), torch.from_numpy(places // 8))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        optimizer.step()
        schedule.step()
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(net.module.state_dict()[name], tensor, rtol=1e-6, atol=1e-7, msg=name)


def test_checkpoints_and_rows_come_at_their_steps(images: PackedImages):
    saved: dict[int, torch.Tensor] = {}
    net = network()
    before = net.module[0].weight.detach().clone()
    history = training(images, net).run(lambda step: saved.update({step: net.module[0].weight.detach().clone()}))
    assert list(saved) == [0, 4, 13]
    assert torch.equal(saved[0], before)
    assert not torch.equal(saved[4], saved[13])
    assert [row["step"] for row in history.rows] == [0, 4, 10, 13]
    assert [math.isnan(row["accuracy"]) for row in history.rows] == [False, False, True, False]
    assert [math.isnan(row["loss"]) for row in history.rows] == [True, False, False, False]
    assert [row["learning_rate"] for row in history.rows] == pytest.approx(
        [0.02 * (1 - s / 40) for s in (0, 4, 10, 13)]
    )
    assert history.rows[-1]["loss"] < history.rows[1]["loss"]


def test_the_last_accuracy_is_that_of_the_network_in_evaluation_mode(images: PackedImages):
    net = network()
    history = training(images, net, batch_size=5).run(lambda step: None)
    with torch.no_grad():
        inputs = Transform(SIZE, HALF, HALF, False).evaluation(torch.from_numpy(images.read(images.rows("test"))))
        predicted = net.module.eval()(inputs).argmax(1).numpy()
    assert history.rows[-1]["accuracy"] == np.mean(predicted == np.repeat([0, 1, 2], 4))
    assert history.rows[-1]["accuracy"] > 0.5


def test_testing_more_often_does_not_change_the_training(images: PackedImages):
    rarely, often = network(), network()
    training(images, rarely, steps=[13]).run(lambda step: None)
    training(images, often, steps=[0, 1, 2, 5, 13]).run(lambda step: None)
    for name, tensor in rarely.module.state_dict().items():
        assert torch.equal(often.module.state_dict()[name], tensor), name


def test_step_0_alone_trains_nothing(images: PackedImages):
    net = network()
    before = copy.deepcopy(net.module.state_dict())
    history = training(images, net, steps=[0]).run(lambda step: None)
    assert [row["step"] for row in history.rows] == [0]
    assert all(torch.equal(net.module.state_dict()[name], tensor) for name, tensor in before.items())


def test_all_weights_are_trained_also_frozen_ones(images: PackedImages):
    net = network()
    net.module.requires_grad_(False)
    before = {name: w.detach().clone() for name, w in net.module.named_parameters()}
    training(images, net, steps=[2]).run(lambda step: None)
    assert all(not torch.equal(before[name], w) for name, w in net.module.named_parameters() if name != "0.bias")


class Poison(nn.Module):
    """Multiplies by NaN from the given forward pass on, in the given mode."""

    def __init__(self, at: int, *, training: bool) -> None:
        super().__init__()
        self.at, self.when_training, self.passes = at, training, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += self.training == self.when_training
        return x * (math.nan if self.passes >= self.at else 1.0)


def test_a_loss_that_becomes_nan_stops_the_training_and_saves_nothing_more(images: PackedImages):
    saved: list[int] = []
    with pytest.raises(
        UserError, match=r"the training loss at optimizer step 6 is nan.* Lower finetune\.learning_rate"
    ):
        training(images, network(Poison(6, training=True))).run(saved.append)
    assert saved == [0, 4]


def test_a_step_whose_scaled_gradients_overflow_is_counted_and_moves_nothing(
    images: PackedImages, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Compute, "scaler", lambda self: torch.amp.GradScaler("cpu"))
    plain, skipping = network(), network()
    training(images, plain, steps=[1]).run(lambda step: None)
    steps = iter([1.0, math.inf])
    skipping.module[0].weight.register_hook(lambda gradient: gradient * next(steps))
    history = training(images, skipping, steps=[2]).run(lambda step: None)
    assert (history.skipped, history.summary().partition(",")[0]) == (
        1, "2 optimizer steps (1 without an update: fp16 overflow)",
    )  # fmt: skip
    for found, expected in zip(skipping.module.parameters(), plain.module.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_logits_that_are_nan_stop_it_too(images: PackedImages):
    saved: list[int] = []
    with pytest.raises(UserError, match="logits of test images are NaN or infinite"):
        training(images, network(Poison(3, training=False))).run(saved.append)  # 12 test images: two passes a test
    assert saved == [0]


def test_a_last_batch_of_one_is_refused_before_training_where_it_cannot_be_used(images: PackedImages):
    narrow = network(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    with pytest.raises(
        UserError, match=r"last batch of every epoch holds one image \(24 train images in batches of 23\)"
    ):
        training(images, narrow, batch_size=23).run(lambda step: pytest.fail("saved"))
    training(images, narrow, batch_size=23, steps=[0, 1]).run(lambda step: None)  # does not reach it
    training(images, network(), batch_size=23, steps=[2]).run(lambda step: None)  # larger maps


def test_batches_are_epochs_of_their_own_order():
    rows = np.arange(100, 110)
    batches = list(training_batches(rows, 4, SEED, 8))
    assert [len(b) for b in batches] == [4, 4, 2, 4, 4, 2, 4, 4]
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:6])
    assert sorted(first) == sorted(second) == rows.tolist()
    assert first.tolist() != second.tolist()
    assert [b.tolist() for b in training_batches(rows, 4, SEED, 3)] == [b.tolist() for b in batches[:3]]
    assert np.concatenate(list(training_batches(rows, 4, SEED + 1, 3))).tolist() != first.tolist()


def test_weight_decay_spares_biases_and_normalization(images: PackedImages):
    net = network()
    optimizer = make_optimizer(net.module, FinetuneParams.model_validate({**VALUES, "weight_decay": 0.1}))
    decayed = {id(w) for group in optimizer.param_groups if group["weight_decay"] == 0.1 for w in group["params"]}
    assert {name for name, w in net.module.named_parameters() if id(w) in decayed} == {"0.weight", "6.weight"}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(net.module.parameters()))
