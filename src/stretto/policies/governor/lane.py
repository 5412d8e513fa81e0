"""One model behind one key: what its provider tells of its limits, what refusals taught, and how long to wait."""

import math

from stretto.calls import Call
from stretto.errors import CallError
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.learned import Learned
from stretto.policies.governor.mirror import Mark, Mirror
from stretto.types import Allowance, RoleName, Usage

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_DOUBLINGS = 10
_OF_TOLD = 0.02  # of our own pause: a shorter one that is told again and again tells nothing
_UNKNOWN_REPLY = 300.0  # tokens expected of a model that has not answered yet
_PER_CHARACTER = 0.25  # tokens, before the first answer
_LEAST_WEIGHT = 0.02  # of the newest answer in a mean
_ASSUMED = 4  # answers that an assumption counts for
_CAREFUL = 1.0  # standard deviations by which what is under way may be more than it was estimated at


class Passage:
    """One request on its way: when it went out, of how many tokens, and what was known then."""

    __slots__ = (
        "characters", "heard", "number", "paced", "requests", "role", "sent_at", "sent_tokens", "token", "tokens",
        "used",
    )  # fmt: skip

    def __init__(self, call: Call, tokens: float, characters: int, now: float) -> None:
        self.sent_at = now
        self.role: RoleName = call.role
        self.tokens = tokens
        self.characters = characters
        self.used: float | None = None
        """Tokens it really was, once that is known."""
        self.heard = False
        self.number, self.sent_tokens, self.paced = 0, 0.0, False
        """How many requests and tokens had gone out with it, and whether it had to wait for the pace."""
        self.requests: Mark | None = None
        self.token: Mark | None = None

    @property
    def excess(self) -> float:
        """By how many tokens it was estimated too high."""
        return 0.0 if self.used is None else self.tokens - self.used


class _Mean:
    """A mean that forgets slowly, and how far single values are from it.

    What is assumed at first counts as much as a few values: one short reply does not mean that all are.
    """

    def __init__(self, value: float) -> None:
        self.value = value
        self.variance = 0.0
        self._count = _ASSUMED

    def note(self, value: float) -> None:
        self._count += 1
        weight, off = max(1 / self._count, _LEAST_WEIGHT), value - self.value
        self.value += off * weight
        self.variance += (off * off * (1 - weight) - self.variance) * weight


class Lane:
    """The gate of a model: requests go out as its key's gate, its headers or its refusals permit.

    `slow_start`: nothing is known of its limits, so it begins with few requests in flight.
    """

    def __init__(self, gate: Gate, *, slow_start: bool = True) -> None:
        self.gate = gate
        self.refused_since: float | None = None
        """The loop time since which every request was refused; None if the last one was not."""
        self._requests: Mirror | None = None
        self._tokens: Mirror | None = None
        self._sent_tokens = 0.0
        self._learned = Learned(slow_start=slow_start)
        self._paused_until = -math.inf
        self._refusals = 0  # rounds with refused requests, one after another
        self._refused_at = -math.inf  # when the first of the last round was refused
        self._replies: dict[RoleName, _Mean] = {}
        self._variance = 0.0
        self._per_character = _Mean(_PER_CHARACTER)

    def estimate(self, role: RoleName, characters: int, most: float) -> float:
        """How many tokens a call is expected to be, prompt and reply, if that may be of so many at most."""
        reply = self._replies.get(role)
        expected = _UNKNOWN_REPLY if reply is None else reply.value
        return characters * self._per_character.value + min(expected, most)

    @property
    def doubt(self) -> float:
        """How many tokens more than was estimated may be under way."""
        return _CAREFUL * math.sqrt(self._variance * self._learned.window.in_flight)

    def opens_at(self, tokens: float, now: float) -> float:
        """The loop time from which one more may go out, `now` if it may; infinite: when another has come back."""
        gate, opens = self.gate, self._paused_until
        if (at := gate.opens_at(tokens + self.doubt if gate.counts_tokens else 0.0, now)) > opens:
            opens = at
        if (at := self._learned.opens_at(now)) > opens:
            opens = at
        if self._requests and (at := self._requests.opens_at(1.0, now)) > opens:
            opens = at
        if self._tokens and (at := self._tokens.opens_at(tokens, now, self._variance)) > opens:
            opens = at
        return opens

    def told_until(self, tokens: float, now: float) -> float:
        """The loop time until which nobody goes out because of what the provider has told, or asked for."""
        told = [self._paused_until, now]
        if self._requests:
            told.append(self._requests.opens_at(1.0, now))
        if self._tokens:
            told.append(self._tokens.opens_at(tokens, now, self._variance))
        return max(told)

    def enter(self, passage: Passage) -> None:
        """Count a request that goes out now wherever the lane is bound, and note on it what was counted."""
        now, tokens = passage.sent_at, passage.tokens
        self.gate.enter(tokens, now)
        if self.gate.tells and not self._learned.sent:
            self._learned.window.expect()
        passage.number, passage.paced = self._learned.enter(now)
        passage.sent_tokens = self._sent_tokens = self._sent_tokens + tokens
        if self._requests:
            passage.requests = self._requests.take(1.0, now)
        if self._tokens:
            passage.token = self._tokens.take(tokens, now)

    def leave(self, excess: float, now: float) -> None:
        """One has come back; its tokens were estimated at so many more than they were."""
        self._learned.leave()
        self.gate.leave(excess, now)

    def tell(self, passage: Passage, told: Allowance, now: float, *, refused: bool = False) -> None:
        """The answer to a request, or its refusal, said this of the limits."""
        if self._requests is None and self._tokens is None and (told.requests or told.tokens):
            self._learned.lift()
            self.gate.tells = True
        together, sent_at = self._learned.window.in_flight, passage.sent_at
        if told.requests:
            if self._requests is None:
                self._requests = Mirror(told.requests, passage.number, self._learned.sent, sent_at, now, vague=False)
            mark = passage.requests or self._requests.mark(1.0, passage.number, sent_at, together)
            self._requests.tell(told.requests, mark, sent_at, now, refused=refused)
        if told.tokens:
            if self._tokens is None:
                self._tokens = Mirror(told.tokens, passage.sent_tokens, self._sent_tokens, sent_at, now, vague=True)
            mark = passage.token or self._tokens.mark(passage.tokens, passage.sent_tokens, sent_at, together)
            crowded = self._requests.crowded if self._requests else None
            self._tokens.tell(told.tokens, mark, sent_at, now, refused=refused, crowded=crowded)

    def accept(self, passage: Passage, now: float) -> None:
        """A request was not refused: something of its answer is here."""
        passage.heard = True
        self._learned.window.hear(now - passage.sent_at)
        self._learned.accept(passage.number)
        if passage.sent_at >= self._refused_at:  # one that went out before says nothing about now
            self._refusals, self.refused_since = 0, None

    def settle(self, passage: Passage, usage: Usage) -> None:
        """A request was of so many tokens."""
        passage.used = usage.input_tokens + usage.output_tokens
        if passage.role not in self._replies:
            self._replies[passage.role] = _Mean(_UNKNOWN_REPLY)
        reply = self._replies[passage.role]
        reply.note(usage.output_tokens)
        self._variance = reply.variance
        if passage.characters and usage.input_tokens:
            self._per_character.note(usage.input_tokens / passage.characters)

    def refuse(self, passage: Passage, error: CallError, now: float, configured: float = math.inf) -> float:
        """A request was rate limited; the loop time until which the model should be left alone.

        That is as long as the provider asked, if that can be, else twice as long as after the round before. Requests
        that went out together are one round, however many of them come back. `configured`: how many a second are said
        to be allowed.
        """
        passage.used = 0.0
        self._learned.window.hear(now - passage.sent_at)
        until = self._until(passage, error, now)
        told = error.allowance if isinstance(error.allowance, Allowance) else None
        if self._requests and passage.requests:
            self._requests.give_back(1.0, now)
        if self._tokens and passage.token:
            self._tokens.give_back(passage.tokens, now)
        if told:
            self.tell(passage, told, now, refused=True)
        if not (told and _explains(told, passage)):
            begin = max(until, self._paused_until)
            least = 1.0 / error.retry_after if error.retry_after else 0.0
            if self._learned.refuse(
                passage.number, passage.sent_at, now, begin, configured, least, paced=passage.paced
            ):
                self._refusals, self.refused_since = 1, now  # some got through, though nothing may be heard of them yet
                until = self._until(passage, error, now)
            if self._learned.crowded and error.retry_after is None:
                until = now  # when one has come back there is room again
        return until

    def _until(self, passage: Passage, error: CallError, now: float) -> float:
        if passage.sent_at > self._refused_at or self._refusals == 0:
            self._refusals += 1
            self._refused_at = now
        if self.refused_since is None:
            self.refused_since = now
        wait = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._refusals - 1, _DOUBLINGS))
        if error.retry_after is None:
            return self._refused_at + wait
        return max(now + error.retry_after, self._refused_at + min(_FIRST_PAUSE, _OF_TOLD * wait))

    def crowd(self, passage: Passage, now: float) -> None:
        """Narrow the window: the provider has answered that it is overloaded."""
        self._learned.overloaded(passage.sent_at, now)

    def pause(self, until: float) -> float:
        """Let nobody out before this loop time, or longer if that was said before; until when."""
        self._paused_until = max(self._paused_until, until)
        return self._paused_until

    def open(self) -> None:
        """Forget window and pace that refusals taught."""
        self._learned.open()


def _explains(told: Allowance, passage: Passage) -> bool:
    """Whether what is left of a quota is a reason to refuse."""
    requests, tokens = told.requests, told.tokens
    return (requests is not None and requests.remaining < 1) or (
        tokens is not None and tokens.remaining < max(1.0, passage.tokens)
    )
