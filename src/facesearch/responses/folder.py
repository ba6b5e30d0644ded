"""The progress and the report of indexing a folder of photos."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import attrs
from attrs import field

from facesearch.common.printable import printable
from facesearch.common.tables import Shown, counted
from facesearch.common.validation import between, is_a, is_bool, maybe, plain_float, plain_int, tuple_of, whole

__all__ = ["BrokenPhoto", "FolderProgress", "FolderReport", "RefusedPhoto"]

_ROWS_SHOWN = 20
_RENAMED = "folders whose names are no user ids, and the ids that their people have"
_NAMES_SHOWN = 10
_ANYWAY = "anyway=True, or --anyway on the command line, adds them nevertheless"
_LEFT = ' style="text-align:left;vertical-align:top"'  # a notebook sets tables to the right


@attrs.frozen(kw_only=True)
class RefusedPhoto:
    """A photo that was analyzed and not accepted.

    Attributes
    ----------
    path
        The file.
    user_id
        The user to enrol; ``None`` for unassociated photos.
    reasons
        Every reason for refusing it: names of `EnrollmentReason`, or QUOTA_EXCEEDED where the user has 100 faces already.
    detail
        The measurements and their thresholds as a text.
    known
        Whether an earlier call analyzed it.
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
        The file.
    user_id
        The user to enrol; ``None`` for unassociated photos.
    detail
        The error of reading it.
    known
        Whether an earlier call analyzed it.
    """

    path: Path = field(validator=is_a(Path))
    user_id: str | None = field(default=None, validator=maybe(is_a(str)))
    detail: str = field(validator=is_a(str))
    known: bool = field(default=False, validator=is_bool)


@attrs.frozen(kw_only=True, repr=False)
class FolderReport(Shown):
    """The result for a folder of photos: each is accepted, refused or broken; printing it shows a table.

    Attributes
    ----------
    path
        The folder, or the CSV file.
    photos
        Number of photos: accepted, refused and broken together.
    accepted
        Number of photos with a face in the collection.
    known
        Number of photos of all three kinds that an earlier call finished; they were not decoded again.
    users
        Number of users with a face from at least one of the photos.
    nobodys
        Number of accepted photos with unassociated faces.
    refused, broken
        Ordered by user id and path.
    kept_out
        Ids of new users that were not added, because their photos don't show one person: each of those photos is refused with
        PHOTOS_DISAGREE.
    skipped
        File name extensions that are not those of photos, with the number of files, the most frequent first.
    notes
        Other omissions, with their causes.
    renamed
        Folder names that are not valid user ids, with the ids derived from them: (name, user id), by user id. See
        `facesearch.domain.user_ids.nearest_user_id`.
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
        """Return the report as dicts, lists, strings and numbers, ready for ``json.dumps``."""
        plain = attrs.asdict(self, value_serializer=_plain)
        renamed = {_shown_name(name): user_id for name, user_id in self.renamed}
        return plain | {"skipped": dict(self.skipped), "renamed": renamed}

    def __str__(self) -> str:
        lines = [self._headline(), *self._asides()]
        for title, rows in self._tables():
            wide = [max(len(row[column]) for row in rows) for column in range(2)]
            lines += ["", title]
            lines += [f"{path:<{wide[0]}}  {reason:<{wide[1]}}  {text}".rstrip() for path, reason, text in rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the counts and the first refused and broken photos as HTML."""
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
        return f"{counted(self.photos, 'photo')}, {counted(self.users, 'user')}: {', '.join(counts)}"

    def _asides(self) -> Sequence[str]:
        lines = []
        if self.kept_out:
            who = ", ".join(self.kept_out[:_NAMES_SHOWN])
            more = f" and {len(self.kept_out) - _NAMES_SHOWN:,} more" if len(self.kept_out) > _NAMES_SHOWN else ""
            lines.append(f"not added, their photos don't show one person: {who}{more} ({_ANYWAY})")
        if self.nobodys:
            lines.append(f"the faces of {counted(self.nobodys, 'photo')} have no user: no folder or list names one")
        if self.skipped:
            kinds = ", ".join(f"{count:,} {printable(suffix) or 'without ending'}" for suffix, count in self.skipped)
            files = counted(sum(count for _, count in self.skipped), "other file")
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
    """The progress of indexing a folder.

    Attributes
    ----------
    total
        Number of all photos.
    done
        Number of photos with a stored analysis: if the call is interrupted, the next call continues with the others.
    known
        Number of photos that an earlier call analyzed.
    waiting
        Of the photos that are done, those of users, which are judged together when all photos are done.
    accepted, refused, broken
        Numbers of the other photos that are done, of the three kinds.
    seconds
        Time since the start.
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
        """Photos analyzed per second."""
        return (self.done - self.known) / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time for the rest; ``None`` where no photo is left, and as long as there is no rate."""
        return (self.total - self.done) / self.rate if self.rate and self.done < self.total else None

    def _headline(self) -> str:
        left = "" if self.seconds_left is None else f", {_clock(self.seconds_left)} left"
        waiting = f"{self.waiting:,} to be judged, " if self.waiting else ""
        counts = f"{waiting}{self.accepted:,} accepted, {self.refused:,} refused, {self.broken:,} broken"
        return f"{self.done:,} of {self.total:,} photos, {self.rate:.1f} a second{left}: {counts}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _plain(_: object, __: object, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return _text(value) if isinstance(value, Path) else value


def _text(path: Path) -> str:
    """Return a path as text, with bytes that are not valid text escaped."""
    return _shown_name(str(path))


def _shown_name(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
