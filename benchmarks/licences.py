"""Print the licence of every package that facesearch and its extras install, and fail if one is not among those that are compatible.

``python benchmarks/licences.py [--write]`` reads the installed packages' own metadata; ``--write`` replaces the table in docs/licences.md.
Packages for tests and training are not listed: nothing of them is installed by users.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
LEFT_OUT = {"dev", "training"}
# Part of a licence's name -> the name that is printed. Python programs may use a library under the LGPL as it is.
COMPATIBLE = {
    "0BSD": "0BSD", "Apache": "Apache-2.0", "BSD": "BSD", "BSL-1.0": "BSL-1.0", "Boost": "BSL-1.0", "HPND": "HPND", "MIT": "MIT", "ISC": "ISC",
    "LGPL": "LGPL-3.0", "GNU Lesser": "LGPL-3.0", "MPL": "MPL-2.0", "Mozilla": "MPL-2.0", "PSF": "PSF-2.0", "Python Software": "PSF-2.0", "CC0": "CC0-1.0",
    "Unlicense": "Unlicense", "Zlib": "Zlib",
}  # fmt: skip
REFUSED = re.compile(r"(?<!L)GPL|Affero|Commercial|Proprietary", re.IGNORECASE)


def licence_of(package: Distribution) -> str:
    """Return the licence that a package states: the expression, else the classifiers, else the first line of the text."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = metadata.get_all("Classifier") or []
    found = [
        each.rpartition(" :: ")[2]
        for each in classifiers
        if each.startswith("License :: ") and each.rpartition(" :: ")[2] != "OSI Approved"
    ]
    found += (metadata.get_all("License") or ["not stated"])[:1]
    return ", ".join(found[:-1]) or found[-1].strip().splitlines()[0]


def judged(licence: str) -> tuple[str, bool]:
    """Return a licence's short name, and whether it is compatible."""
    names = dict.fromkeys(short for part, short in COMPATIBLE.items() if part.lower() in licence.lower())
    return (licence if len(licence) < 60 else ", ".join(names)), bool(names) and not REFUSED.search(licence)


def needed(name: str, extras: frozenset[str], seen: dict[str, set[str]], why: str) -> None:
    """Collect what a package installs, with the extras of facesearch that need it."""
    key = canonicalize_name(name)
    if why in seen.setdefault(key, set()):
        return
    seen[key].add(why)
    for text in distribution(key).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            needed(requirement.name, frozenset(requirement.extras), seen, why)


def rows() -> Iterator[tuple[str, str, str, str, bool]]:
    """Yield name, version, licence, the extras that install it, and whether the licence is compatible."""
    extras = set(distribution("facesearch").metadata.get_all("Provides-Extra") or ()) - LEFT_OUT
    seen: dict[str, set[str]] = {}
    needed("facesearch", frozenset(), seen, "")
    core = set(seen)
    for extra in sorted(extras):
        needed("facesearch", frozenset({extra}), seen, extra)
    for name in sorted(set(seen) - {"facesearch"}):
        package = distribution(name)
        licence, compatible = judged(licence_of(package))
        why = "always" if name in core else ", ".join(sorted(seen[name] - {""}))
        yield name, package.version, licence, why, compatible


def main() -> None:
    """Print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the table in docs/licences.md")
    write = parser.parse_args().write
    found = list(rows())
    lines = ["| package | tried with | licence | installed by |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {version} | {licence} | {why} |" for name, version, licence, why, _ in found]
    table = "\n".join(lines)
    print(table)
    if write:
        before = PAGE.read_text("utf-8")
        PAGE.write_text(re.sub(r"\| package \|.*\|\n", lambda _: f"{table}\n", before, flags=re.DOTALL), "utf-8")
    refused = [f"{name}: {licence}" for name, _, licence, _, compatible in found if not compatible]
    if refused:
        sys.exit("not known to be compatible: " + "; ".join(refused))


if __name__ == "__main__":
    main()
