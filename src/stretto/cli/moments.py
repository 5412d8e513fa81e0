"""Moments in the past, as people write and read them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click

from stretto.ground import amounts

seconds, minutes = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"
"""How exactly a moment is told."""


def _here(at: str) -> datetime:
    """A moment in the time of this machine, if `TZ` names one."""
    told = datetime.fromisoformat(at)
    try:
        return told.astimezone()
    except (ValueError, OverflowError):  # more than a day away from UTC
        return told.astimezone(UTC)


def local(at: str, exactly: str = seconds, *, zone: bool = True) -> str:
    """A moment as events write it (UTC), in the time of this machine: 2026-01-31 09:30:00 CET."""
    here = _here(at)
    return here.strftime(exactly) + (f" {here.tzname()}" if zone else "")


def precisely(at: str) -> str:
    """The same to the millisecond."""
    here = _here(at)
    return f"{here:{seconds}}.{here.microsecond // 1000:03} {here.tzname()}"


def between(start: str, end: str) -> float:
    """Seconds from one moment to another, as events write them."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def zones(moments: Iterable[str]) -> list[str]:
    """The names of the zones these moments are told in: two, where summer time began or ended between them."""
    return list(dict.fromkeys(str(_here(at).tzname()) for at in moments if at))


def moment(ctx: click.Context, param: click.Parameter, written: str | None) -> str | None:
    """A flag's value as events write a moment: so long ago (30m, 2d, 1w), or a date or time (here, unless it says)."""
    if written is None:
        return None
    try:
        # A plain number is a date (20260131) or nothing: it would not say of what.
        ago = None if written.strip().isdigit() else amounts.seconds(written)
        at = datetime.fromisoformat(written) if ago is None else datetime.now(UTC) - timedelta(seconds=ago)
        return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{written!r} is no moment; write how long ago (30m, 2d, 1w) or a date (2026-01-31)", ctx, param
        ) from error
