"""Replies that must fit a schema: read, and asked once more if they do not."""

from collections.abc import Container

from msgspec.structs import replace

from stretto.calls import KEPT, Restarted, Text, Transcript, fingerprint
from stretto.engine.caller import Caller, Errand
from stretto.engine.requests import repair_request
from stretto.engine.results import CUT
from stretto.engine.telling import Telling
from stretto.errors import ShapeError
from stretto.shapes import Misfit, Shape, fitted
from stretto.store.journal import Journal
from stretto.types import Request, Role


class Shaping:
    """Collects replies through `caller`; one that does not fit the schema of its request is asked for once more.

    `shape` is that of the answer, if a Python type stands behind its schema. `replies`: the fingerprints of those the
    run has already; a repair that an earlier execution got and that did not fit either is not taken again.
    """

    def __init__(self, caller: Caller, journal: Journal, replies: Container[str], shape: Shape | None) -> None:
        self._caller = caller
        self._journal = journal
        self._replies = replies
        self._shape = shape

    async def collect(
        self, errand: Errand, role: Role, request: Request, transcript: Transcript, telling: Telling | None = None
    ) -> str:
        """The finish reason of a reply whose text, in the transcript, fits; of one that was cut short it need not.

        Raises `ShapeError` if the repair does not fit either.
        """
        finish = await self._caller.collect(errand, role, request, transcript, telling)
        shape = self._shape_of(request)
        if shape is None or finish not in KEPT or not transcript.text.strip():
            return finish
        why = self._fit(shape, transcript, telling)
        if why is None:
            return "stop"
        if finish in CUT:  # to ask the same again would meet the same limit
            return finish
        repair = repair_request(request, transcript.text, why)
        while True:
            known = fingerprint(repair) in self._replies
            self._forget(transcript, telling)
            finish = await self._caller.collect(errand, role, repair, transcript, telling)
            if finish not in KEPT:
                return finish
            still = self._fit(shape, transcript, telling)
            if still is None:
                return "stop"
            if finish in CUT:
                return finish
            if not known:
                raise ShapeError(_told(request, why, still), text=transcript.text)
            repair = replace(repair, sample=repair.sample + 1)

    def _shape_of(self, request: Request) -> Shape | None:
        if request.schema is None:
            return None
        shape = self._shape
        return shape if shape is not None and shape.schema == request.schema else Shape(request.schema)

    def _fit(self, shape: Shape, transcript: Transcript, telling: Telling | None) -> str | None:
        """Why a reply does not fit; if it does, its JSON alone is left of it."""
        try:
            text = fitted(transcript.text, shape).text
        except Misfit as misfit:
            return str(misfit)
        if text != transcript.text:
            self._forget(transcript, telling)
            transcript.take(Text(text))
            if telling:
                telling.take(text)
        return None

    def _forget(self, transcript: Transcript, telling: Telling | None) -> None:
        transcript.take(Restarted())
        if telling:
            telling.restart()


def _told(request: Request, why: str, still: str) -> str:
    first = "" if why == still else f" (at first: {why})"
    return f"{request.model}: the reply does not fit its schema, and neither does the repair: {still}{first}"
