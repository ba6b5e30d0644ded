"""Find the 3-D reference face of ``facesearch.detection.pose`` by structure from motion on photographs.

dlib's 68 landmarks of some thousand faces, and of their mirror images, go through a scaled-orthographic factorisation
(Tomasi and Kanade 1992, doi:10.1007/BF00129684) for a start, then through alternating least squares with robust
weights: every face's camera given the reference, every reference point given the cameras. The mirror images make the
reference symmetric; the nose toward the camera settles the sign of depth.

Structure from motion measures depth worst: people differ in width as much as a turned head is foreshortened, and
dlib's points foreshorten less than faces do. So one factor on depth comes from points that people placed: over faces
the squared width falls with the squared offset of the nose, at a rate that only the nose's depth sets, and how wide a
person's face is doesn't bias that. Pitch zero is where AWS has it: four faces of known nose fraction and pitch.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from landmark_cache import Floats, gather, held_out, human_points

from facesearch.detection.pose import rotation_from_pose
from facesearch.domain.face_detail import Pose

# Eyes, nose and mouth corners of dlib's 68. Left out: brows and lips move, the jaw's contour slides as the head turns.
POINTS = np.array([*range(27, 48), 48, 54])
MIRROR = np.array([*range(27, 31), *range(35, 30, -1), 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 48])
NEXT, LAST = (1, 2, 0), (2, 0, 1)  # indices of a cross product
SWAP = np.searchsorted(POINTS, MIRROR)  # where in the reference a point's mirror image is
NOSE, MOUTH = 30, (48, 54)
EYES = (range(36, 42), range(42, 48))  # image left, image right

NOSE_FRACTIONS = ((-10.0, 0.60), (-5.0, 0.55), (12.6, 0.43), (15.7, 0.38))  # AWS's pitch, nose between eyes and mouth
LEAST_SPREAD = 0.01  # of a point, in inter-eye distances: dlib's whole pixels allow no better
ROUNDS = 60  # of alternating least squares; the reference then moves by less than 0.001 a round


def factorise(tracks: Floats) -> Floats:
    """Return points (K, 3), up to rotation and reflection, from tracks (F, K, 2) of mean 0 and of one size."""
    faces = len(tracks)
    left, size, right = np.linalg.svd(np.concatenate([tracks[..., 0], tracks[..., 1]]), full_matrices=False)
    first, second = np.split(left[:, :3] * size[:3], [faces])
    i, j = np.triu_indices(3)

    def products(a: Floats, b: Floats) -> Floats:
        return np.asarray((a[:, i] * b[:, j] + a[:, j] * b[:, i]) / np.where(i == j, 2, 1))

    # the metric Q = upgrade @ upgrade.T makes the two rows of each camera orthogonal and of one length, 1 on average
    lengths = products(first, first) + products(second, second)
    system = np.concatenate(
        [products(first, first) - products(second, second), products(first, second), faces * lengths.mean(0)[None]]
    )
    metric = np.zeros((3, 3))
    metric[i, j] = metric[j, i] = np.linalg.lstsq(system, np.r_[np.zeros(2 * faces), 2.0 * faces], rcond=None)[0]
    values, vectors = np.linalg.eigh(metric)
    upgrade = vectors * np.sqrt(np.maximum(values, 1e-3 * values.max()))
    return np.asarray(np.linalg.solve(upgrade, right[:3]).T)


def nearest_rotation(affine: Floats) -> tuple[Floats, Floats]:
    """Return the rotations (..., 3, 3) and scales (...) nearest to affine cameras (..., 2, 3) of rank two.

    The first two rows are the polar factor, in closed form; the third is their cross product.
    """
    gram = affine @ affine.swapaxes(-1, -2)
    trace = gram[..., 0, 0] + gram[..., 1, 1]
    root = np.sqrt(gram[..., 0, 0] * gram[..., 1, 1] - gram[..., 0, 1] * gram[..., 1, 0])
    spread = np.sqrt(trace + 2.0 * root)  # sum of the two singular values
    inverse = (np.eye(2) * (trace + root)[..., None, None] - gram) / (spread * root)[..., None, None]
    rotation = np.empty((*affine.shape[:-2], 3, 3))
    rotation[..., :2, :] = rows = inverse @ affine
    first, second = rows[..., 0, :], rows[..., 1, :]
    rotation[..., 2, :] = first[..., NEXT] * second[..., LAST] - first[..., LAST] * second[..., NEXT]
    return rotation, spread / 2.0


def fit_rotation(affine: Floats, root: Floats, *, steps: int = 3) -> tuple[Floats, Floats]:
    """Return the rotations (..., 3, 3) and scales (...) with the least reprojection error.

    An affine camera (..., 2, 3) that is off by D has an error of the Frobenius norm of ``D @ root``, where root (..., 3, 3)
    is the Cholesky factor of the centred points' second moment. Gauss-Newton on log scale and a rotation about the camera's
    x, y and z axes, each step brought back to a rotation by `nearest_rotation`.
    """
    rotation, scale = nearest_rotation(affine)
    moves = np.zeros((*affine.shape[:-2], 4, 2, 3))
    for _ in range(steps):
        moves[..., 0, :, :] = rotation[..., :2, :]
        moves[..., 1, 1, :] = -rotation[..., 2, :]
        moves[..., 2, 0, :] = rotation[..., 2, :]
        moves[..., 3, 0, :] = -rotation[..., 1, :]
        moves[..., 3, 1, :] = rotation[..., 0, :]
        error = affine / scale[..., None, None] - rotation[..., :2, :]
        jacobian = (moves @ root[..., None, :, :]).reshape(*moves.shape[:-2], 6)
        residual = (error @ root).reshape(*error.shape[:-2], 6, 1)
        step = np.linalg.solve(jacobian @ jacobian.swapaxes(-1, -2), jacobian @ residual)
        turned = rotation[..., :2, :] + (step[..., 1:, :, None] * moves[..., 1:, :, :]).sum(axis=-3)
        rotation, _ = nearest_rotation(turned)
        scale = scale * np.exp(step[..., 0, 0])
    return rotation, scale


def refine(tracks: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Improve points (K, 3) on tracks (F, K, 2); give them and the residuals (F, K) in their unit."""
    spread, trust = np.full(len(points), 0.05), np.ones(tracks.shape[:2])
    for _ in range(ROUNDS):
        weights = trust / spread**2
        weights /= weights.sum(axis=1, keepdims=True)
        centre = np.einsum("fk,kd->fd", weights, points)
        middle = np.einsum("fk,fkd->fd", weights, tracks)
        known, seen = points - centre[:, None], tracks - middle[:, None]
        moment = np.einsum("fk,fki,fkj->fij", weights, known, known)
        affine = np.linalg.solve(moment, np.einsum("fk,fki,fkd->fid", weights, known, seen)).swapaxes(1, 2)
        rotation, scale = fit_rotation(affine, np.linalg.cholesky(moment))
        rows = rotation[:, :2]
        target = seen / scale[:, None, None] + np.einsum("fij,fj->fi", rows, centre)[:, None]
        size = np.linalg.norm(target - np.einsum("fij,kj->fki", rows, points), axis=2)
        spread = np.maximum(np.median(size, axis=0), LEAST_SPREAD)
        trust = 1 / (1 + (size / spread / 2) ** 2)  # Cauchy
        # turned faces show depth and are rare: each 5 degrees of |yaw| counts alike, a face at most ten times
        bins = (np.abs(np.degrees(np.arcsin(rotation[:, 2, 0].clip(-1, 1)))) // 5).astype(int).clip(max=8)
        share = np.minimum(len(tracks) / 9 / np.bincount(bins, minlength=9)[bins], 10)[:, None] * trust
        normal = np.einsum("fk,fai,faj->kij", share, rows, rows)
        points = np.linalg.solve(normal, np.einsum("fk,fai,fka->ki", share, rows, target)[..., None])[..., 0]
    return points, size


def at(points: Floats, *which: int) -> Floats:
    """Return the mean of some of dlib's points in a reference (K, D)."""
    return np.asarray(points[np.searchsorted(POINTS, which)].mean(axis=0))


def framed(points: Floats) -> tuple[Floats, float]:
    """Transform points into the face's frame; return them and their deviation from symmetry.

    x from the image-left to the image-right eye, y from eyes to mouth, z away from the camera; the origin lies between
    the eyes' centres and the unit is their distance.
    """
    right = np.linalg.svd(points - points[SWAP])[2][0]
    right *= np.sign((at(points, *EYES[1]) - at(points, *EYES[0])) @ right)
    down = at(points, *MOUTH) - at(points, *EYES[0], *EYES[1])
    down -= (down @ right) * right
    down /= np.linalg.norm(down)
    points = (points - at(points, *EYES[0], *EYES[1])) @ np.stack([right, down, np.cross(right, down)], axis=1)
    points[:, 2] *= -np.sign(at(points, NOSE)[2])
    mirrored = points[SWAP] * [-1, 1, 1]
    unit = 2 * at(points, *EYES[1])[0]
    return (points + mirrored) / 2 / unit, float(np.abs(points - mirrored).max() / unit)


def nose_depth(faces: Floats) -> tuple[float, float]:
    """Estimate how far the nose tip stands out, in inter-eye distances, and its standard error; faces (F, 68, 2).

    With yaw t, width w cos t and nose offset d sin t (both over the height from eyes to mouth), squared width falls by
    (w / d)**2 for each squared offset. Yaw has nothing to do with who is who, so the width's own variation is noise.
    """
    left, right = (faces[:, eye].mean(axis=1) for eye in EYES)
    line = right - left
    across = line / np.linalg.norm(line, axis=1, keepdims=True)
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    middle = (left + right) / 2
    mouth, nose = faces[:, MOUTH].mean(axis=1) - middle, faces[:, NOSE] - middle
    height = (mouth * down).sum(axis=1)
    fraction = (nose * down).sum(axis=1) / height
    offset = ((nose - fraction[:, None] * mouth) * across).sum(axis=1) / height
    width = np.linalg.norm(line, axis=1) / height
    system = np.stack([np.ones_like(offset), offset**2], axis=1)
    trust = np.ones_like(offset)
    for _ in range(10):
        normal = (system.T * trust) @ system
        base, slope = np.linalg.solve(normal, (system.T * trust) @ width**2)
        error = width**2 - system @ [base, slope]
        trust = 1 / (1 + (error / 0.15) ** 2)  # Cauchy at about the spread of squared width
    depth = np.sqrt(-1 / slope)
    slope_error = np.sqrt(np.linalg.inv(normal)[1, 1] * (trust * error**2).sum() / trust.sum())
    return float(depth), float(depth * slope_error / -slope / 2)


def nose_fraction(points: Floats, pitch: float) -> float:
    """Return where the nose tip is between eye line (0) and mouth line (1) of a reference at *pitch* degrees."""
    height = points @ rotation_from_pose(Pose(roll=0, yaw=0, pitch=pitch))[1]
    eyes = at(height, *EYES[0], *EYES[1])
    return float((at(height, NOSE) - eyes) / (at(height, *MOUTH) - eyes))


def tilt_of(points: Floats) -> tuple[float, float]:
    """Return the pitch, in degrees, of the frame's zero on AWS's scale, and the error left in the nose fractions."""
    grid = np.arange(-20, 20, 0.05)
    errors = [[nose_fraction(points, pitch + tilt) - seen for pitch, seen in NOSE_FRACTIONS] for tilt in grid]
    cost = np.sqrt(np.square(errors).mean(axis=1))
    return float(grid[cost.argmin()]), float(cost.min())


def main() -> None:
    """Print the reference face and how it was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cache", type=Path, required=True, help="landmarks are kept here, outside the repository")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of photographs")
    options = parser.parse_args()
    root = Path(os.environ.get("FACESEARCH_DATA", "../shared/data"))

    data = gather(root, options.cache, seed=options.seed)
    used = [not mirror and not held_out(name) for name, mirror in zip(data["name"], data["mirror"], strict=True)]
    faces = data["points"][used]
    tracks = np.concatenate([faces[:, POINTS], faces[:, MIRROR] * [-1, 1]])
    tracks -= tracks.mean(axis=1, keepdims=True)
    tracks /= np.sqrt((tracks**2).mean(axis=(1, 2), keepdims=True))
    unrefined, _ = framed(factorise(tracks))
    points, residuals = refine(tracks, unrefined)
    points, asymmetry = framed(points)
    found = -at(points, NOSE)[2]

    human = human_points(root)
    aside = np.array([held_out(name) for name in human.names])
    depth, depth_error = nose_depth(human.points)
    points[:, 2] *= depth / found
    tilt, fraction_error = tilt_of(points)
    points = points @ rotation_from_pose(Pose(roll=0, yaw=0, pitch=tilt)).T

    print(f"{len(faces)} faces and their mirror images; median residual {np.median(residuals):.4f} inter-eye distances")
    print(f"asymmetry before it was averaged away {asymmetry:.1e}")
    print(
        f"nose depth: factorisation {-at(unrefined, NOSE)[2]:.3f}, refined {found:.3f}, human points {depth:.3f}",
        end="",
    )
    print(f" +- {depth_error:.3f} (halves {nose_depth(human.points[aside])[0]:.3f}, ", end="")
    print(f"{nose_depth(human.points[~aside])[0]:.3f}; dlib's points on those photographs and all others ", end="")
    print(f"{nose_depth(faces)[0]:.3f})")
    print(
        f"tilt of eye-mouth plane at AWS's pitch zero {tilt:.2f} degrees, nose fractions off by {fraction_error:.4f}:"
    )
    for pitch, seen in NOSE_FRACTIONS:
        print(f"  pitch {pitch:6.1f}  AWS {seen:.2f}  ours {nose_fraction(points, pitch):.3f}")
    pitches, fractions = (np.array(column) for column in zip(*NOSE_FRACTIONS, strict=True))
    slope = np.polyfit(pitches, fractions, 1)[0]
    ours = np.polyfit(pitches, [nose_fraction(points, pitch) for pitch in pitches], 1)[0]
    print(f"slope a degree: AWS {slope:.5f}, ours {ours:.5f}")
    print("dlib index: x right, y down, z away from the camera, in inter-eye-centre distances")
    for index, (x, y, z) in zip(POINTS, points.round(3) + 0.0, strict=True):
        print(f"    {index}: ({x}, {y}, {z}),")


if __name__ == "__main__":
    main()
