"""What became of a folder of photos, while it is worked on and when it is done."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import attrs
from attrs import field

from facesearch.common.printable import printable
from facesearch.common.tables import Shown
from facesearch.common.validation import between, is_a, is_bool, maybe, plain_float, plain_int, tuple_of, whole

__all__ = ["BrokenPhoto", "FolderProgress", "FolderReport", "RefusedPhoto"]

_ROWS_SHOWN = 20
_RENAMED = "folders whose names are no user ids, and the ids that their people have"
_NAMES_SHOWN = 10
_ANYWAY = "anyway=True, or --anyway on the command line, adds them nevertheless"
_LEFT = ' style="text-align:left;vertical-align:top"'  # a notebook sets tables to the right


@attrs.frozen(kw_only=True)
class RefusedPhoto:
    """A photo that was looked at and not accepted.

    Attributes
    ----------
    path
        Where it is.
    user_id
        Whose it was to be; ``None`` for nobody's.
    reasons
        Every reason that holds: names of `EnrollmentReason`, or QUOTA_EXCEEDED where the user has 100 faces already.
    detail
        What was measured and what would have passed, in words.
    known
        Whether an earlier call looked at it.
    """

    path: Path = field(validator=is_a(Path))
    user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    reasons: tuple[str, ...] = field(validator=tuple_of(str))
    detail: str = field(default="", validator=is_a(str))
    known: bool = field(default=False, validator=is_bool)


@attrs.frozen(kw_only=True)
class BrokenPhoto:
    """A file that can't be read as a photo.

    Attributes
    ----------
    path
        Where it is.
    user_id
        Whose it was to be; ``None`` for nobody's.
    detail
        What is wrong with it.
    known
        Whether an earlier call looked at it.
    """

    path: Path = field(validator=is_a(Path))
    user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    detail: str = field(validator=is_a(str))
    known: bool = field(default=False, validator=is_bool)


@attrs.frozen(kw_only=True, repr=False)
class FolderReport(Shown):
    """What became of a folder's photos: each is accepted, refused or broken; printing it shows a table.

    Attributes
    ----------
    path
        The folder, or the CSV file.
    photos
        How many there are: accepted, refused and broken ones together.
    accepted
        Photos whose face the collection has.
    known
        Photos of all three kinds that an earlier call was done with: nothing was decoded.
    users
        Users that have at least one of the photos.
    nobodys
        Of the accepted photos, those whose faces are nobody's.
    refused, broken
        By user id and path.
    kept_out
        Ids of new users that were not added, because their photos don't agree on who it is: each of those photos is refused with
        PHOTOS_DISAGREE.
    skipped
        Endings of the files that are no photos by their name, and how many there are of each, the most frequent first.
    notes
        What else was left out, and why.
    renamed
        Folders whose name is no user id, and the ids that were made of them: (name, user id), by user id. See
        `facesearch.enrolment.folder_plan.user_id_of`.
    """

    path: Path = field(validator=is_a(Path))
    photos: int = field(converter=plain_int, validator=whole(0))
    accepted: int = field(converter=plain_int, validator=whole(0))
    known: int = field(converter=plain_int, validator=whole(0))
    users: int = field(converter=plain_int, validator=whole(0))
    nobodys: int = field(default=0, converter=plain_int, validator=whole(0))
    refused: tuple[RefusedPhoto, ...] = field(default=(), validator=tuple_of(RefusedPhoto))
    broken: tuple[BrokenPhoto, ...] = field(default=(), validator=tuple_of(BrokenPhoto))
    kept_out: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    skipped: tuple[tuple[str, int], ...] = field(default=(), validator=tuple_of(tuple))
    notes: tuple[str, ...] = field(default=(), validator=tuple_of(str))
    renamed: tuple[tuple[str, str], ...] = field(default=(), validator=tuple_of(tuple))

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain dicts, lists, strings and numbers, which ``json.dumps`` takes as they are."""
        plain = attrs.asdict(self, value_serializer=_plain)
        return plain | {
            "skipped": dict(self.skipped),
            "kept_out": list(self.kept_out),
            "notes": list(self.notes),
            "renamed": {_shown_name(name): user_id for name, user_id in self.renamed},
        }

    def __str__(self) -> str:
        lines = [self._headline(), *self._asides()]
        for title, rows in self._tables():
            wide = [max(len(row[column]) for row in rows) for column in range(2)]
            lines += ["", title]
            lines += [f"{path:<{wide[0]}}  {reason:<{wide[1]}}  {text}".rstrip() for path, reason, text in rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Show counts, and the first of what was not accepted."""
        parts = [f"<p><b>{escape(self._headline())}</b></p>", *(f"<p>{escape(line)}</p>" for line in self._asides())]
        for title, rows in self._tables():
            body = "".join(
                f"<tr>{''.join(f'<td{_LEFT}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:_ROWS_SHOWN]
            )
            parts.append(f"<p>{title}</p><table><tbody>{body}</tbody></table>")
            if len(rows) > _ROWS_SHOWN:
                parts.append(f"<p>and {len(rows) - _ROWS_SHOWN:,} more rows; print it for all</p>")
        return f"<div>{''.join(parts)}</div>"

    def _headline(self) -> str:
        counts = [f"{self.accepted:,} accepted", f"{len(self.refused):,} refused", f"{len(self.broken):,} broken"]
        if self.known:
            counts.append(f"{self.known:,} known before")
        return f"{_counted(self.photos, 'photo')}, {_counted(self.users, 'user')}: {', '.join(counts)}"

    def _asides(self) -> Sequence[str]:
        lines = []
        if self.kept_out:
            who = ", ".join(self.kept_out[:_NAMES_SHOWN])
            more = f" and {len(self.kept_out) - _NAMES_SHOWN:,} more" if len(self.kept_out) > _NAMES_SHOWN else ""
            lines.append(f"not added, their photos don't show one person: {who}{more} ({_ANYWAY})")
        if self.nobodys:
            lines.append(f"the faces of {_counted(self.nobodys, 'photo')} are nobody's: no folder or list says whose")
        if self.skipped:
            kinds = ", ".join(f"{count:,} {printable(suffix) or 'without ending'}" for suffix, count in self.skipped)
            files = _counted(sum(count for _, count in self.skipped), "other file")
            lines.append(f"{files} skipped: {kinds}")
        return [*lines, *self.notes]

    def _tables(self) -> Sequence[tuple[str, Sequence[tuple[str, str, str]]]]:
        renamed = [(printable(_shown_name(name)), user_id, "") for name, user_id in self.renamed]
        refused = [(self._shown(photo.path), ", ".join(photo.reasons), photo.detail) for photo in self.refused]
        broken = [(self._shown(photo.path), photo.detail, "") for photo in self.broken]
        tables = ((_RENAMED, renamed), ("refused", refused), ("broken", broken))
        return [(title, rows) for title, rows in tables if rows]

    def _shown(self, path: Path) -> str:
        root = self.path if self.path.is_dir() else self.path.parent
        return printable(_text(path.relative_to(root) if path.is_relative_to(root) else path))


@attrs.frozen(kw_only=True, repr=False)
class FolderProgress(Shown):
    """How far the work on a folder is.

    Attributes
    ----------
    total
        Photos in all.
    done
        Photos of which what was seen is written, or was before: whatever ends the call, the next one goes on with the others.
    known
        Photos that an earlier call looked at.
    waiting
        Of the photos that are done, those whose face is to be judged when all are: the faces of users.
    accepted, refused, broken
        The other photos that are done, of the three kinds.
    seconds
        Since the start.
    """

    total: int = field(converter=plain_int, validator=whole(0))
    done: int = field(converter=plain_int, validator=whole(0))
    known: int = field(converter=plain_int, validator=whole(0))
    waiting: int = field(default=0, converter=plain_int, validator=whole(0))
    accepted: int = field(converter=plain_int, validator=whole(0))
    refused: int = field(converter=plain_int, validator=whole(0))
    broken: int = field(converter=plain_int, validator=whole(0))
    seconds: float = field(converter=plain_float, validator=between(0))

    @property
    def rate(self) -> float:
        """Photos looked at in a second."""
        return (self.done - self.known) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at that rate; ``None`` where nothing is left, and as long as there is no rate."""
        return (self.total - self.done) / self.rate if self.rate and self.done < self.total else None

    def _headline(self) -> str:
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        waiting = f"{self.waiting:,} to be judged, " if self.waiting else ""
        counts = f"{waiting}{self.accepted:,} accepted, {self.refused:,} refused, {self.broken:,} broken"
        return f"{self.done:,} of {self.total:,} photos, {self.rate:.1f} a second{left}: {counts}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _plain(_: object, __: object, value: Any) -> Any:
    if isinstance(value, Path):
        return _text(value)
    return list(value) if isinstance(value, tuple) else value


def _text(path: Path) -> str:
    """Write a path down, also one that is no valid text."""
    return _shown_name(str(path))


def _shown_name(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
