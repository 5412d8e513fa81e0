"""Results that are too long for who reads them, made shorter: by calls, and where that does not help, by a rule.

The rule: the longest results, as few as it takes, are to be halved; where that is not enough, short results stay whole
and long ones share what is left of the reader's window equally. What is too long is condensed by a call of the worker's
own model; a text that this takes in pieces only, in pieces at the same time. What comes back too long is condensed once
more, as a whole. Of what is longer even then, or could not be condensed, the first two thirds and the last third of its
share are kept. Results without even room for their headings are left out: those of the least value first, then the last
ones.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stretto import prompts
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.lengths import pieces, shortened, targets, words
from stretto.engine.requests import merged_by, request_for, role_of, worker_request
from stretto.engine.windows import Reader, Reading, Window, context_of, fits_surely, reader_of
from stretto.models.functions import speakers
from stretto.plan.book import worker_for
from stretto.policies.estimate import tokens_asked, tokens_in
from stretto.types import Definition, Head, PlanState, Request, Result, Role, Subtask

_LEAST = 100  # tokens of a text worth a call
_MOST_PIECES = 8  # of one text
_LEVELS = 2  # a text that is condensed, and what came of it
THOUGHT = 1024  # tokens of a reply beside its text: many models think first
_TOLD = 1000  # tokens of the task, and of a description, that who condenses is told
_FORM = frozenset({"response_format", "stop"})  # options that are meant for a worker's results

CONDENSE = "condense"
"""The part of a subtask whose result is made shorter for who reads it."""


class Condensed(Struct, frozen=True):
    """Results as their reader can take them in: all of them, with the texts that it is to read.

    The ids of those that were made shorter by a call; of those with a part left out; and of those that must be left
    out altogether, because not even a line for each of them would fit.
    """

    results: dict[str, Result]
    condensed: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """Those that are not there whole, each once."""
        return tuple(dict.fromkeys((*self.condensed, *self.cut)))

    @property
    def shown(self) -> dict[str, Result]:
        """Those that are read."""
        return {id_: result for id_, result in self.results.items() if id_ not in self.left_out}


def condensed(
    definition: Definition,
    task: str,
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    head: Head | None,
    plan: PlanState,
) -> Asking[Condensed]:
    """The results as the synthesizer can take them in; without one, as they are."""
    role = definition.synthesizer
    if role is None:
        return Condensed(dict(results))

    def reading(found: Mapping[str, Result]) -> Request:
        shown = [subtask for subtask in subtasks if subtask.id in found]
        changed = [id_ for id_, result in found.items() if result.text != results[id_].text]  # the ledger says so
        return merged_by(role, task, shown, {**results, **found}, plan, head=head, condensed=changed)

    return (yield from condensed_for(definition, role, reading, task, subtasks, results))


def condensed_needs(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    head: Head | None,
) -> Asking[list[tuple[Subtask, Result]]]:
    """The results that a subtask builds on, as its worker can take them in."""
    if not needed:
        return []

    def reading(found: Mapping[str, Result]) -> Request:
        shown = [(need, found[need.id]) for need, _ in needed if need.id in found]
        return worker_request(definition, task, subtask, shown, head=head)

    needs, results = [need for need, _ in needed], {need.id: result for need, result in needed}
    role = role_of(definition, subtask)
    asking = condensed_for(definition, role, reading, task, needs, results, own=True)
    shown = (yield from asking).shown
    return [(need, shown[need.id]) for need in needs if need.id in shown]


def condensed_for(
    definition: Definition,
    role: Role,
    reading: Reading,
    task: str,
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    *,
    own: bool = False,
) -> Asking[Condensed]:
    """The results as whoever has this role can take them in; `reading` makes the request to it.

    Two rounds of calls at most, each of one call for every hundred tokens that the reader takes at the very most. A
    call is for the subtask whose result it condenses; with `own`, for the one that reads it.
    """
    texts = {subtask.id: results[subtask.id].text for subtask in subtasks if subtask.id in results}
    reader = reader_of(definition, role)
    if not speakers(role) or not any(texts.values()) or fits_surely(reader, reading, results):
        return Condensed(dict(results))
    window = Window(reader, reading, results)
    if window.fits(texts):
        return Condensed(dict(results))
    found, cut = dict(texts), set[str]()
    if shares := targets(window.lengths(texts), window.room, _LEAST):
        condensers = {subtask.id: _condenser(subtask, definition, role) for subtask in subtasks}
        found, cut = yield from _shorter(texts, shares, task, subtasks, condensers, own=own)
    asked = {id_ for id_, text in found.items() if text != texts[id_]}
    fitting = window.fitted(found)
    cut |= {id_ for id_, text in fitting.items() if text != found[id_]}
    left_out = () if window.fits(fitting) else window.left_out(fitting, subtasks)
    return Condensed(
        {id_: replace(result, text=fitting.get(id_, result.text)) for id_, result in results.items()},
        tuple(id_ for id_ in texts if id_ in asked),
        tuple(id_ for id_ in texts if id_ in cut),
        left_out,
    )


class _Work(Struct, frozen=True):
    """A text to be condensed: the tokens it may have then, who does it, and in which pieces."""

    subtask: Subtask
    tokens: int
    role: Role
    pieces: tuple[str, ...]
    cut: bool = False

    def asks(self, task: str) -> list[Ask]:
        """What is asked, a request for each piece."""
        count = len(self.pieces)
        parts = [f" (part {number} of {count})" if count > 1 else "" for number in range(1, count + 1)]
        tokens = self.tokens // count
        return [
            _ask(self.role, task, self.subtask, piece, tokens, part)
            for piece, part in zip(self.pieces, parts, strict=True)
        ]


def _shorter(
    texts: Mapping[str, str],
    shares: Mapping[str, int],
    task: str,
    subtasks: Sequence[Subtask],
    condensers: Mapping[str, Role],
    *,
    own: bool,
) -> Asking[tuple[dict[str, str], set[str]]]:
    """The texts with what could be condensed to its share; and those of which a part had to be left out before."""
    found, cut = dict(texts), set[str]()
    todo = [subtask for subtask in subtasks if subtask.id in shares]
    for _ in range(_LEVELS):
        works = [_work(each, found[each.id], shares[each.id], condensers[each.id], task) for each in todo]
        asked = [work for work in works if work]
        if not asked:
            break
        asks = [ask for work in asked for ask in work.asks(task)]
        said = iter((yield [replace(ask, subtask=None) for ask in asks] if own else asks))
        todo = []
        for work in asked:
            id_, text = work.subtask.id, _joined([next(said) for _ in work.pieces])
            if text and tokens_in(text) < tokens_in(found[id_]):
                found[id_] = text
                cut |= {id_} if work.cut else set()
                todo += [work.subtask] if tokens_in(text) > shares[id_] else []
    return found, cut


def _work(subtask: Subtask, text: str, share: int, role: Role, task: str) -> _Work | None:
    """How a text is condensed to its share; None if who would do it has no room for any of it."""
    bare = _ask(role, task, subtask, "", share, "").request
    room = (
        context_of(Reader(role, role.context), bare) - tokens_asked(bare) - THOUGHT
    ) // 3  # a third to read, two to write in
    if room < _LEAST:
        return None
    most = min(_MOST_PIECES, max(share // _LEAST, 1))
    count = -(-tokens_in(text) // room)
    kept = text if count <= most else shortened(text, most * room)
    return _Work(subtask, share, role, tuple(pieces(kept, min(count, most))), cut=kept != text)


def _ask(role: Role, task: str, subtask: Subtask, text: str, tokens: int, part: str) -> Ask:
    values = {
        "task": shortened(task, _TOLD),
        "task_type": subtask.type,
        "task_description": shortened(subtask.description, _TOLD),
        "words": str(words(text, tokens)),
        "part": part,
        "text": text,
    }
    limit = "max_completion_tokens" if "max_completion_tokens" in role.options else "max_tokens"
    asked = replace(role, options={**role.options, limit: 2 * tokens + THOUGHT})
    return Ask(asked, request_for(asked, prompts.fill(prompts.text("condense"), values)), CONDENSE, subtask.id)


def _joined(replies: Sequence[Said]) -> str:
    """The pieces of a text, condensed; nothing if one of them is not whole."""
    whole = all(said.error is None and said.finish == "stop" and said.text.strip() for said in replies)
    return "\n\n".join(said.text.strip() for said in replies) if whole else ""


def _condenser(subtask: Subtask, definition: Definition, reader: Role) -> Role:
    """Who condenses a result: its worker's model, or the reader's where that is none, without options of form."""
    role = definition.workers.get(worker_for(subtask.type, definition.workers) or "", reader)
    models = speakers(role)
    if not models:
        role, models = reader, reader.candidates
    options = {key: value for key, value in role.options.items() if key not in _FORM}
    found = Role(models, options=options, stream=role.stream, context=role.context)
    return replace(found, context=reader_of(definition, found).context)
