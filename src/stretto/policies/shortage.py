"""What is said of a call that a run cannot pay: the ceiling that binds, by its name, and what to do."""

from stretto.errors import BudgetError
from stretto.policies.estimate import usual_output
from stretto.policies.spending import NOTHING, Amount
from stretto.types import Limits


def shortage(limits: Limits, spent: Amount, need: Amount, aside: Amount) -> BudgetError:
    """The error that says why a call cannot be paid that may need so much, beside what is `aside` for the answer.

    Of two ceilings only the one that it would break is named, or both if it would break both.
    """
    budget, tokens = limits.budget or NOTHING.money, limits.tokens or 0
    left = Amount(max(NOTHING.money, budget - spent.money), max(0, tokens - spent.tokens))
    told = {"budget": _money(budget, left, need, aside)} if limits.budget is not None else {}
    if limits.tokens is not None:
        told["tokens"] = _tokens(tokens, left, need, aside)
    binding = tuple(name for name, (_, breaks) in told.items() if breaks) or tuple(told)
    message = (
        f"{'; '.join(told[name][0] for name in binding)}; raise {' and '.join(binding)}, or lower max_tokens "
        f"({usual_output('worker', 0):,} for a reply that sets none)"
    )
    return BudgetError(message, binding=binding)


def _money(budget: object, left: Amount, need: Amount, aside: Amount) -> tuple[str, bool]:
    kept = f", ${aside.money:.4f} are kept for the answer" if aside.money else ""
    told = f"budget: this call may cost as much as ${need.money:.4f}{kept}, and of ${budget:.4f} only ${left.money:.4f}"
    return f"{told} are left", need.money + aside.money > left.money


def _tokens(most: int, left: Amount, need: Amount, aside: Amount) -> tuple[str, bool]:
    kept = f", {aside.tokens:,} are kept for the answer" if aside.tokens else ""
    told = f"tokens: this call may take as many as {need.tokens:,}{kept}, and of {most:,} only {left.tokens:,}"
    return f"{told} are left", need.tokens + aside.tokens > left.tokens
