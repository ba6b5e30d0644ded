"""The networks of the attribute heads, of which the answers are added up, in PyTorch, and the layers that they are written as."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
from attribute_graph import Layer
from numpy.typing import NDArray
from torch import Tensor, nn

from facesearch.appearance.heads import EMOTIONS, YES_OR_NO
from facesearch.networks.sface_onnx import SFACE_MAPS

Floats = NDArray[Any]

CHANNELS: Final = SFACE_MAPS[0]
CLASSES: Final = len(YES_OR_NO) + len(EMOTIONS)  # the answers after these are of age


class Heads(nn.Module):
    """A projection of the channels, a convolution, one hidden layer, and one matrix for every answer.

    Parameters
    ----------
    mean, scale
        (1792,) of each channel of the maps in steps: their mean, and one over their standard deviation.
    """

    def __init__(self, mean: Tensor, scale: Tensor, wide: int = 48, hidden: int = 112) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.project = nn.Parameter(torch.randn(wide, CHANNELS) * CHANNELS**-0.5)
        self.project_norm = nn.BatchNorm1d(wide)
        self.both, self.both_norm = nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1), nn.BatchNorm2d(2 * wide)
        self.hidden = nn.Linear(2 * wide * 16, hidden)
        self.out = nn.Linear(hidden, CLASSES + 2)
        self.drop_channels, self.drop_maps, self.drop = nn.Dropout(0.1), nn.Dropout2d(0.1), nn.Dropout(0.4)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, 18) answers to maps in steps, (N, 7, 7, 1792) int8."""
        # Whole steps are exact in bfloat16. The channels are centred and scaled in the weights, which are far fewer.
        weights = self.drop_channels(self.project * self.scale)
        flat = maps.reshape(-1, CHANNELS).bfloat16() @ weights.bfloat16().T
        projected = torch.relu(self.project_norm(flat.float() - weights @ self.mean))
        cells = projected.reshape(len(maps), 7, 7, -1).permute(0, 3, 1, 2)
        both = torch.relu(self.both_norm(self.both(self.drop_maps(cells))))
        answers: Tensor = self.out(self.drop(torch.relu(self.hidden(self.drop(both.flatten(1))))))
        return answers


class Straight(nn.Module):
    """One matrix from the mean of each channel to the answers.

    It is less right than `Heads`, and wrong about other faces: their mean is better than either.

    Parameters
    ----------
    mean, scale
        (1792,) of each channel's mean in steps: their mean, and one over their standard deviation.
    """

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.out = nn.Linear(CHANNELS, CLASSES + 2)
        self.drop = nn.Dropout(0.3)

    def forward(self, means: Tensor) -> Tensor:
        """Return (N, 18) answers to the means of the maps in steps, (N, 1792)."""
        answers: Tensor = self.out(self.drop((means - self.mean) * self.scale))
        return answers


def average(nets: Sequence[Heads], straight: Straight) -> None:
    """Scale the last matrices, so that the sum of all answers is the mean of *straight* and the mean of *nets*, and age that of *nets*."""
    for layer, classes, age in [*((net.out, 0.5 / len(nets), 1 / len(nets)) for net in nets), (straight.out, 0.5, 0)]:
        for values in (layer.weight.data, layer.bias.data):
            values[:CLASSES] *= classes
            values[CLASSES:] *= age


def folded(nets: Iterable[Heads], straight: Straight, step: Floats) -> tuple[list[list[Layer]], Layer]:
    """Return the layers of the graph, which take the maps themselves, with every normalisation folded into its layer."""
    steps = torch.from_numpy(step.reshape(-1))
    with torch.no_grad():
        means = straight.out.weight * straight.scale
        last = Layer((means / steps).numpy(), (straight.out.bias - means @ straight.mean).numpy())
        return [_folded(net, steps) for net in nets], last


def _folded(net: Heads, steps: Tensor) -> list[Layer]:
    norm = net.project_norm
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    project = net.project * net.scale
    bias = norm.bias - (project @ net.mean + norm.running_mean) * factor
    first = (project * factor[:, None] / steps)[:, :, None, None]
    norm = net.both_norm
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    second = net.both.weight * factor[:, None, None, None]
    second_bias = (net.both.bias - norm.running_mean) * factor + norm.bias
    arrays = [(first, bias), (second, second_bias), *((layer.weight, layer.bias) for layer in (net.hidden, net.out))]
    return [Layer(weights.numpy(), shift.numpy()) for weights, shift in arrays]
