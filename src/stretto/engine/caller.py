"""Making calls: a role and a prompt become a request, the request becomes a call, and the call leaves its events."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from itertools import count

from stretto import events as e
from stretto import prompts
from stretto.calls import Call, Chunk, Done, Model, Restarted, Text, Transcript, Urgency, fingerprint
from stretto.engine.ledger import Ledger
from stretto.errors import CallError, StrettoError
from stretto.store.journal import Journal
from stretto.types import Message, Request, Role, RoleName

_URGENCY: Mapping[RoleName, int] = {"orchestrator": 0, "synthesizer": 1, "worker": 2}


def request_for(role: Role, prompt: str) -> Request:
    """What a role's model is asked with this prompt."""
    system = (Message("system", role.system),) if role.system else ()
    return Request(role.model, (*system, Message("user", prompt)), role.options)


class Caller:
    """Asks the models of one run; `model` gives a model by name, policies included."""

    def __init__(self, journal: Journal, model: Callable[[str], Model]) -> None:
        self._journal = journal
        self._model = model
        self._numbers = count(1 + max((int(call.id[1:]) for call in journal.run.calls), default=0))

    async def collect(
        self, role_name: RoleName, role: Role, request: Request, *, subtask: str | None = None, show: bool = False
    ) -> tuple[str, str]:
        """The whole text of a reply and its finish reason; with `show` the text is the answer and shown as it comes."""
        transcript, finish = Transcript(), ""
        async with aclosing(self.ask(role_name, role, request, transcript, subtask=subtask)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    finish = chunk.finish
                elif show and isinstance(chunk, Text | Restarted):
                    text = chunk.text if isinstance(chunk, Text) else ""
                    self._journal.append(e.AnswerDelta(text=text, restart=isinstance(chunk, Restarted)))
        return transcript.text, finish

    async def ask(
        self, role_name: RoleName, role: Role, request: Request, transcript: Transcript, *, subtask: str | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """One call, with its events and its transcript; raises `CallError` and nothing else on the model's behalf."""
        call = self._call(role_name, role, request, subtask)
        ledger = Ledger(call, self._journal, transcript)
        try:
            async with aclosing(self._model(request.model).stream(call)) as chunks:
                async for chunk in chunks:
                    ledger.note(chunk)
                    yield chunk
        except CallError as error:
            ledger.finish(error=str(error), request_id=error.request_id)
            raise
        except StrettoError:  # the store's, not the call's
            raise
        except Exception as error:  # a model that breaks its promise costs one call too
            failure = CallError(f"{request.model}: unexpected {type(error).__name__}: {error}")
            ledger.finish(error=str(failure))
            raise failure from error
        except GeneratorExit:
            ledger.finish(finish="stopped")
            raise

    def _call(self, role_name: RoleName, role: Role, request: Request, subtask: str | None) -> Call:
        return Call(
            id=f"c{next(self._numbers)}",
            run=self._journal.run_id,
            role=role_name,
            subtask=subtask,
            request=request,
            fingerprint=fingerprint(request),
            stream=role.stream or role_name != "worker",
            urgency=Urgency(_URGENCY[role_name]),
            described=role_name == "orchestrator" and prompts.describes_plan(role.prompt or ""),
        )
