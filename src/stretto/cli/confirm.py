"""`--confirm`: a plan and its forecast at the terminal, and what is decided there."""

import re
import shutil
from collections.abc import Awaitable
from typing import Any

import click
from msgspec import Struct

from stretto.cli.console import Console
from stretto.cli.help import option, together
from stretto.cli.limit_options import amount
from stretto.cli.progress import Progress
from stretto.cli.proposal_table import table, whole
from stretto.cli.words import dollars
from stretto.errors import TaskError
from stretto.ground import amounts
from stretto.plan.given import given_plan, read_plan, write_plan
from stretto.proposal import Again, Approve, Decision, Drop, Edit, Go, Over, Proposal, Stop, dependents, without
from stretto.types import Definition

_ASK = "[g]o  [v]iew  [e]dit  [d]rop IDS  [a]gain REMARK  [s]top > "
_SECTION = "Approval"


confirm_options = together(
    option(
        "--confirm",
        is_flag=True,
        section=_SECTION,
        help="Show the plan with a forecast of tokens, cost and time before anything of it is asked: go, view all of "
        "it, edit it, drop subtasks, ask again with a remark, or stop.",
    ),
    option(
        "--confirm-over",
        metavar="MONEY",
        section=_SECTION,
        callback=amount(amounts.dollars, nothing=True),
        help="The same, if it may cost more than that (19 of 20 such runs cost less) or nobody knows: 0.50, 50c.",
    ),
)


def approval(definition: Definition, progress: Progress, flags: dict[str, Any]) -> Approve | None:
    """Who approves a plan, if the flags want anybody to; raises `click.UsageError` if nobody can be asked."""
    confirm, confirm_over = flags["confirm"], flags["confirm_over"]
    if not confirm and confirm_over is None:
        return None
    console = Console.found()
    if confirm and console is None:
        raise click.UsageError(
            "--confirm: there is no terminal to ask at; `stretto plan TASK -o plan.json` and then "
            "`stretto run --plan plan.json` do it in two steps"
        )
    ask = Confirmation(definition, progress, console)
    return ask if confirm or confirm_over is None else _told(Over(confirm_over, ask), progress)


def _told(over: Over, progress: Progress) -> Approve:
    """The same, and of a plan that nobody is asked about it is told why."""

    def decide(proposal: Proposal) -> Decision | Awaitable[Decision]:
        cost = proposal.total.cost
        if cost is not None and not over.asks(proposal):
            progress.tell("confirm", f"{dollars(cost.p95)} at the most, not above {dollars(over.amount)}: goes on")
        return over(proposal)

    return decide


class Confirmation(Struct, frozen=True):
    """Asks the person at the terminal about each proposal; without a `console` the answer is to stop."""

    definition: Definition
    progress: Progress
    console: Console | None

    async def __call__(self, proposal: Proposal) -> Decision:
        """What is decided about a proposal."""
        if self.console is None:
            cost = proposal.total.cost
            why = "at an unknown cost" if cost is None else f"{dollars(cost.p95)} at the most"
            self.progress.tell("confirm", f"{why}, and there is no terminal to ask at: stops")
            return Stop()
        shown = f"\n{table(proposal, shutil.get_terminal_size().columns)}{self._short_of(proposal)}\n"
        with self.progress.suspended():
            self.console.show(shown)
            while True:
                decision = await self._decision(self.console, proposal)
                if decision is not None:
                    return decision

    def _short_of(self, proposal: Proposal) -> str:
        """Which limit of the run may be too low for the plan alone."""
        total, limits = proposal.total, self.definition.limits
        told = []
        if limits.budget is not None and total.cost is not None and total.cost.p95 > limits.budget:
            told.append(f"a budget of {dollars(limits.budget)}")
        if limits.tokens is not None and total.tokens.p95 > limits.tokens:
            told.append(f"{limits.tokens:,} tokens")
        if limits.deadline is not None and total.seconds.p95 > limits.deadline:
            told.append(f"a deadline of {limits.deadline:g} s")
        return f"  {' and '.join(told)} may not be enough\n" if told else ""

    async def _decision(self, console: Console, proposal: Proposal) -> Decision | None:
        """What one line says; None if nothing is decided by it."""
        written = await console.line(_ASK)
        if written is None:
            return Stop()
        word, _, rest = written.strip().partition(" ")
        match word.lower():
            case "g" | "go":
                return Go()
            case "s" | "stop" | "q" | "quit":
                return Stop()
            case "e" | "edit" | "a" | "again" if any(subtask.alone for subtask in proposal.plan.subtasks):
                console.show("the plan of a list is its rows: go, drop some (d t3), or stop and edit the list\n")
            case "v" | "view":
                self._view(console, proposal, rest)
                return None
            case "e" | "edit":
                return await self._edit(console, proposal)
            case "d" | "drop":
                return await self._drop(console, proposal, rest)
            case "a" | "again":
                return await self._again(console, rest)
        console.show("write g, v, e, d with ids (d t3 t5), a with a remark (a make it shorter), or s\n")
        return None

    def _view(self, console: Console, proposal: Proposal, rest: str) -> None:
        """The plan with every word of it, or those of its subtasks that are named."""
        ids = _ids(rest)
        known = [subtask.id for subtask in proposal.plan.subtasks]
        if unknown := [id_ for id_ in ids if id_ not in known]:
            console.show(f"no subtask {', '.join(unknown)}; there are {', '.join(known) or 'none'}\n")
            return
        console.show(f"\n{whole(proposal.plan, shutil.get_terminal_size().columns, ids)}\n")

    async def _drop(self, console: Console, proposal: Proposal, rest: str) -> Decision | None:
        ids = _ids(rest)
        if ids and (others := dependents(proposal.plan.subtasks, ids)):
            named = ", ".join(others)
            need = "needs" if len(others) == 1 else "need"
            if not await console.agrees(f"{named} {need} {', '.join(ids)}; drop {named} as well? [y/n] > "):
                return None
            ids += others
        try:
            without(proposal.plan, ids)
        except TaskError as error:
            console.show(f"{error}\n")
            return None
        return Drop(ids)

    async def _again(self, console: Console, rest: str) -> Decision | None:
        if self.definition.orchestrator is None:
            console.show("this workflow has no orchestrator to ask; edit the plan\n")
            return None
        remark = rest.strip() or (await console.line("what is to be different? > ") or "").strip()
        return Again(remark) if remark else None

    async def _edit(self, console: Console, proposal: Proposal) -> Decision | None:
        """The plan as it comes back from the editor; one that cannot be carried out may be edited once more."""
        text = before = write_plan(proposal.task, proposal.plan)
        while True:
            edited = await console.edited(text, ".json")
            if edited is None:
                return None
            if edited == before:
                console.show("nothing was changed\n")
                return None
            try:
                file = read_plan(edited, "your plan")
                plan = given_plan(file, self.definition, "your plan")
            except TaskError as error:
                answer = await console.line(f"{error}\n[e]dit again, or leave the plan as it was [enter] > ")
                if answer is None or answer.strip().lower() not in {"e", "edit"}:
                    return None
                text = edited
            else:
                if file.task not in {None, proposal.task}:
                    console.show("the task itself stays as it is; a run of another one begins anew\n")
                return Edit(plan)


def _ids(rest: str) -> list[str]:
    return list(dict.fromkeys(re.split(r"[\s,]+", rest.strip()))) if rest.strip() else []
