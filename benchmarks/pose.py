"""Measure ``facesearch.detection.pose`` on photographs with labels and on projections of its own reference face."""

import argparse
import os
import sys
import timeit
from pathlib import Path

import attrs
import dlib
import numpy as np
from PIL import Image

import facesearch as fs
from facesearch.detection.pose import REFERENCE, rotation_from_pose, solve_pose
from facesearch.domain.face_detail import Pose

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from landmark_cache import Floats, gather, held_out, human_points, landmarks, models, read  # after the path
from pose_reference import EYES, MIRROR, POINTS  # after the path

Angles = tuple[float, float, float]  # roll, yaw, pitch in degrees

TURNS = (-25, -20, -15, -10, -5, 5, 10, 15, 20, 25)


def solved(points: Floats) -> Floats:
    """Solve one face (68, 2): (3,) roll, yaw, pitch."""
    return np.array(attrs.astuple(solve_pose(points)))


def turned_by(angles: Angles) -> Floats:
    """Return the rotation (3, 3) of roll, yaw, pitch."""
    roll, yaw, pitch = angles
    return rotation_from_pose(Pose(roll=roll, yaw=yaw, pitch=pitch))


def poses(faces: Floats) -> Floats:
    """Solve many faces (N, 68, 2): (N, 3) roll, yaw, pitch."""
    return np.array([solved(face) for face in faces])


def wrapped(degrees: Floats) -> Floats:
    """Bring differences of angles into -180..180."""
    return (degrees + 180) % 360 - 180


def spread(values: Floats) -> str:
    """Return median, 95th percentile and largest of magnitudes."""
    return "median {:.2f}, p95 {:.2f}, max {:.2f}".format(*np.percentile(np.abs(values), [50, 95, 100]))


def check_sides(root: Path, found: dict[str, tuple[Floats, Floats]]) -> None:
    """Compare yaw with the labels leftward, forward, rightward, and all angles with the points people placed."""
    human = human_points(root)
    middle = (human.boxes[:, :2] + human.boxes[:, 2:]) / 2
    size = (human.boxes[:, 2:] - human.boxes[:, :2]).max(axis=1)
    boxes = [found[n][0] if n in found else np.full(4, np.nan) for n in human.names]
    centre = np.array([(b[:2] + b[2:]) / 2 for b in boxes])
    side = np.array([b[2] - b[0] for b in boxes])
    detected = np.linalg.norm(centre - middle, axis=1) < size / 3  # false for NaN and for someone else's face
    shift = np.median((centre - middle)[detected] / size[detected, None], axis=0)
    ratio = np.median(side[detected] / size[detected])
    print(f"landmarks106: {detected.sum()} of {len(detected)} detected")

    placed = []
    for name, at, extent in zip(human.names, middle + shift * size[:, None], size * ratio / 2, strict=True):
        corners = [round(v) for v in (*(at - extent), *(at + extent))]
        placed.append(landmarks(read(root, name)[0], dlib.rectangle(*corners)))
    given = poses(np.array(placed))
    solved = given.copy()
    solved[detected] = poses(np.array([found[n][1] for n, d in zip(human.names, detected, strict=True) if d]))
    aside = np.array([held_out(n) for n in human.names])
    for label, which, yaw in (
        ("detected", detected, solved[:, 1]),
        ("  half kept aside", detected & aside, solved[:, 1]),
        ("undetected, box from points", ~detected, given[:, 1]),
        ("all, box from points", np.ones_like(detected), given[:, 1]),
    ):
        turned = which & (human.sides != 0)
        right = np.sign(yaw[turned]) == human.sides[turned]
        print(f"{label}: {right.mean():.1%} of {turned.sum()} labelled left or right have that sign of yaw")
        if which.sum() > 50:
            for value, word in ((-1, "leftward"), (0, "forward"), (1, "rightward")):
                chosen = yaw[which & (human.sides == value)]
                print(
                    f"    {word}: |yaw| p5 p25 p50 p75 p95 {np.percentile(np.abs(chosen), [5, 25, 50, 75, 95]).round(1)}"
                )

    marked = human.points.copy()
    truth = poses(np.nan_to_num(marked))
    for label, which in (("detected", detected), ("  half kept aside", detected & aside)):
        error = wrapped(solved - truth)[which]
        slope = (solved[which, 1] @ truth[which, 1]) / (truth[which, 1] @ truth[which, 1])
        print(f"{label}: against the same solver on human points: yaw slope {slope:.3f}")
        for axis, word in enumerate(("roll", "yaw", "pitch")):
            print(f"    {word}: median {np.median(error[:, axis]):+.2f}; |difference| {spread(error[:, axis])}")


def check_pipeline(root: Path) -> None:
    """Compare what the library itself answers, from photo to pose, with the labels leftward and rightward."""
    human = human_points(root)
    middle = (human.boxes[:, :2] + human.boxes[:, 2:]) / 2
    size = (human.boxes[:, 2:] - human.boxes[:, :2]).max(axis=1)
    right, missed, aside = [], 0, []
    for row in np.flatnonzero(human.sides):
        with Image.open(root / human.names[row]) as image:
            width, height = image.size
        near = [
            face.pose
            for face in fs.detect_faces(root / human.names[row])
            if np.hypot(
                (face.bounding_box.left + face.bounding_box.width / 2) * width - middle[row, 0],
                (face.bounding_box.top + face.bounding_box.height / 2) * height - middle[row, 1],
            )
            < size[row] / 2
        ]
        if near:
            right.append(np.sign(near[0].yaw) == human.sides[row])
            aside.append(held_out(human.names[row]))
        else:
            missed += 1
    kept = np.array(right)[aside]
    print(
        f"the library's own answer: {np.mean(right):.1%} of {len(right)} labelled left or right have that sign of yaw "
        f"(kept aside: {kept.mean():.1%} of {len(kept)}); {missed} not found"
    )


def check_mirror(data: dict[str, Floats]) -> None:
    """Compare photographs with their mirror images, each detected and solved on its own."""
    plain = {n: p for n, p, m in zip(data["name"], data["points"], data["mirror"], strict=True) if not m}
    pairs = [
        (plain[n], p) for n, p, m in zip(data["name"], data["points"], data["mirror"], strict=True) if m and n in plain
    ]
    here, there = (poses(np.array(side)) for side in zip(*pairs, strict=True))
    same = np.abs(wrapped(here[:, 0] + there[:, 0])) < 15  # else the two found different people
    total = wrapped(here + there * [1, 1, -1])[same]
    print(f"mirror: {len(total)} photographs ({(~same).sum()} left out: another face was found)")
    for axis, word in enumerate(("roll", "yaw", "pitch")):
        print(f"    {word}: {spread(total[:, axis])}")
    everyone = poses(data["points"])
    print(
        f"population: pitch median {np.median(everyone[:, 2]):.1f}, sd {everyone[:, 2].std():.1f}; yaw sd {everyone[:, 1].std():.1f}"
    )
    line = np.array([p[EYES[1]].mean(0) - p[EYES[0]].mean(0) for p in data["points"]])
    off = wrapped(everyone[:, 0] - np.degrees(np.arctan2(line[:, 1], line[:, 0])))
    frontal = np.abs(everyone[:, 1]) < 10
    print(f"roll against the line of eye centres: |yaw| < 10: {spread(off[frontal])}; others: {spread(off[~frontal])}")


def check_roll(root: Path, data: dict[str, Floats]) -> None:
    """Measure turned copies of photographs, detected anew up to 25 degrees; beyond, turn the landmarks."""
    errors, drift, tried, names = [], [], 0, []
    for name, face, mirror in zip(data["name"], data["points"], data["mirror"], strict=True):
        pose = solved(face)
        if name.startswith("people") and not mirror and abs(pose[1]) < 10 and abs(pose[0]) < 5:
            names.append((str(name), face, pose))
    for name, face, pose in names[:25]:
        image = Image.fromarray(read(root, name)[0])
        middle = np.array(image.size) / 2 - 0.5
        for turn in TURNS:
            tried += 1
            turned = np.asarray(image.rotate(-turn, resample=Image.Resampling.BICUBIC))  # PIL turns the other way
            flat = turned_by((turn, 0, 0))[:2, :2]
            at = (face[POINTS].mean(axis=0) - middle) @ flat.T + middle
            near = [
                b for b in models()[0](turned, 1) if np.linalg.norm([b.center().x - at[0], b.center().y - at[1]]) < 30
            ]
            if near:
                found = solved(landmarks(turned, near[0]))
                errors.append(found[0] - pose[0] - turn)
                drift.append([found[1] - pose[1], found[2] - pose[2]])
    print(f"roll: {len(errors)} of {tried} copies turned within 25 degrees detected: {spread(np.array(errors))}")
    print(f"    yaw there moves by {spread(np.array(drift)[:, 0])}; pitch by {spread(np.array(drift)[:, 1])}")
    worst = 0.0
    for _, face, pose in names:
        for turn in range(-180, 180, 15):
            found = solved(face @ turned_by((turn, 0, 0))[:2, :2].T)
            worst = max(worst, *np.abs(wrapped(np.array(found) - pose - [turn, 0, 0])))
    print(f"roll: landmarks turned all the way round: worst of all three angles {worst:.1e}")


def project(pose: Angles, distance: float | None = None) -> Floats:
    """Picture the reference at *pose*: weak perspective, or a pinhole *distance* face heights away (1.9 eye distances)."""
    points = np.array(list(REFERENCE.values()))
    turned = (points - points.mean(axis=0)) @ turned_by(pose).T
    shrink = 1.0 if distance is None else 1 / (1 + turned[:, 2:] / (distance * 1.9))
    face = np.zeros((68, 2))
    face[POINTS] = turned[:, :2] * shrink * 60 + 200
    return face


def check_synthetic() -> None:
    """Project the reference at known angles: they must come back."""
    grid = [(r, y, p) for r in (-170, -40, 0, 25, 110) for y in range(-75, 76, 5) for p in range(-60, 61, 5)]
    worst = max(np.abs(wrapped(np.array(solved(project(pose))) - pose)).max() for pose in grid)
    print(f"synthetic: {len(grid)} weak-perspective views, worst error {worst:.1e}")
    for distance in (1.5, 2, 3, 5):
        near = [(0, y, p) for y in range(-45, 46, 5) for p in range(-30, 31, 5)]
        error = np.array([np.array(solved(project(pose, distance))) - pose for pose in near])
        print(f"    camera {distance} face heights away: yaw {spread(error[:, 1])}; pitch {spread(error[:, 2])}")
    swap = np.arange(68)
    swap[POINTS] = MIRROR
    worst = 0.0
    rng = np.random.default_rng(0)
    for _ in range(2000):
        face = project(tuple(rng.uniform([-180, -70, -60], [180, 70, 60]))) + rng.normal(size=(68, 2)) * 3
        pose, other = solved(face), solved(face[swap] * [-1, 1] + [500, 0])
        worst = max(worst, *np.abs(wrapped(np.array(other) - pose * np.array([-1, -1, 1]))))
    print(f"    mirrored landmarks, noisy: worst {worst:.1e}")


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))
    data = gather(root, parser.parse_args().cache)
    found = {
        str(n): (b, p)
        for n, b, p, m in zip(data["name"], data["box"], data["points"], data["mirror"], strict=True)
        if not m
    }
    check_pipeline(root)
    check_sides(root, found)
    check_mirror(data)
    check_roll(root, data)
    check_synthetic()
    face = data["points"][0]
    print(f"time: {timeit.timeit(lambda: solve_pose(face), number=2000) / 2000 * 1e6:.0f} us")


if __name__ == "__main__":
    main()
