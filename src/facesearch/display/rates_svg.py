"""The matches on the curves of strangers and of one person, as one SVG that takes the colours of the page around it."""

import math
from collections.abc import Sequence

import attrs

from facesearch.display.rates import CURVES, UNMEASURED, Curve, Pin, floor_of, position, rates, stacked, ticks
from facesearch.matching.calibration import Calibration

__all__ = ["curve_swatches", "draw_curve"]

_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 86, 14, 12, 42
_LETTER, _HEAD = 12, 10  # size of the letters, radius of a pin's head
_LINE = 2.5  # width of a curve
_SWATCH = (
    '<svg width="36" height="12" viewBox="0 0 36 12" style="vertical-align:middle" aria-hidden="true">'
    '<line x1="2" y1="6" x2="34" y2="6" {line}/></svg>'
)


def draw_curve(calibration: Calibration, pins: Sequence[Pin]) -> str:
    """Draw the pins of users on the curves of a calibration, as an ``<svg>`` element."""
    floor = floor_of(calibration)
    plot = _Plot(floor=floor)
    parts = [plot.grid(calibration), plot.pins(calibration, pins)]
    parts += [plot.curve(calibration, curve) for curve in CURVES]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="how often strangers, and photos of one person, are so similar" '
        f'style="max-width:{_WIDTH}px;width:100%;height:auto" font-family="DejaVu Sans,Verdana,sans-serif" '
        f'font-size="{_LETTER}">{"".join(parts)}</svg>'
    )


def curve_swatches() -> list[tuple[str, str]]:
    """Return the legend of the curves: a sample of each line and its name."""
    return [(_SWATCH.format(line=_stroke(curve)), curve.words) for curve in CURVES]


def _stroke(curve: Curve) -> str:
    dash = " ".join(f"{_LINE * length:g}" for length in curve.dash)
    return f'stroke="{curve.colour}" stroke-width="{_LINE}"' + (f' stroke-dasharray="{dash}"' if dash else "")


@attrs.frozen(kw_only=True)
class _Plot:
    floor: int

    def x(self, place: float) -> float:
        return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)

    def y(self, rate: float) -> float:
        depth = min(math.log10(rate) / self.floor, 1.0) if rate > 0 else 1.0
        return _TOP + depth * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self, calibration: Calibration) -> str:
        parts = []
        for power in range(self.floor, 1):
            y, text = self.y(10.0**power), "all" if power == 0 else f"1 in {10**-power:,}"
            parts.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="currentColor" '
                f'stroke-opacity="0.15"/><text x="{_LEFT - 6}" y="{y + _LETTER / 3:.1f}" text-anchor="end" '
                f'fill="currentColor">{text}</text>'
            )
        base = _HEIGHT - _BOTTOM
        for tick in ticks(calibration, apart=0.06):
            x = self.x(tick.position)
            parts.append(
                f'<line x1="{x:.1f}" y1="{base}" x2="{x:.1f}" y2="{base + 4}" stroke="currentColor"/>'
                f'<text x="{x:.1f}" y="{base + 17}" text-anchor="middle" fill="currentColor">{tick.similarity:g}</text>'
            )
        # There a pin stands on no curve: the reason.
        parts.append(
            f'<text x="{self.x(1 - UNMEASURED / 2):.1f}" y="{base + 17}" text-anchor="middle" fill="currentColor" '
            'fill-opacity="0.75">too rare to measure</text>'
        )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle" fill="currentColor">similarity, percent</text>'
        )
        return "".join(parts)

    def curve(self, calibration: Calibration, curve: Curve) -> str:
        points = rates(calibration, curve)

        def path(places: list[tuple[float, float]]) -> str:
            return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in places)

        band = [(point.position, point.low) for point in points]
        band += [(point.position, point.high) for point in reversed(points)]
        return (
            f'<polygon points="{path(band)}" fill="{curve.colour}" fill-opacity="0.25"/>'
            f'<polyline points="{path([(point.position, point.rate) for point in points])}" fill="none" {_stroke(curve)}/>'
        )

    def pins(self, calibration: Calibration, pins: Sequence[Pin]) -> str:
        places = [self.x(position(calibration, pin.similarity)) for pin in pins]
        rows = stacked(places, 2 * _HEAD + 2)
        base, parts = _HEIGHT - _BOTTOM, []
        for pin, place, row in zip(pins, places, rows, strict=True):
            # The heads keep to the right end of the axis, where both curves leave them room.
            x, y = min(max(place, _LEFT + _HEAD), _WIDTH - _RIGHT - _HEAD), _TOP + _HEAD + row * (2 * _HEAD + 2)
            dash = "" if pin.found else ' stroke-dasharray="3 3"'
            ground, ink = ("#0072B2", "#ffffff") if pin.found else ("#ffffff", "#000000")
            parts.append(
                f'<line x1="{place:.1f}" y1="{y:.1f}" x2="{place:.1f}" y2="{base}" stroke="currentColor" '
                f'stroke-width="1.5"{dash}/>'
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_HEAD}" fill="{ground}" stroke="currentColor"/>'
                f'<text x="{x:.1f}" y="{y + _LETTER * 0.36:.1f}" text-anchor="middle" fill="{ink}">{pin.text}</text>'
            )
        return "".join(parts)
