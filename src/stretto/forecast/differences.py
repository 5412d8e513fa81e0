"""What distinguishes two requests, in words."""

from stretto.types import Request


def difference(before: Request, now: Request) -> str:
    """What distinguishes two requests, in words; nothing if they are the same."""
    changes = [f"model {before.model} -> {now.model}"] if before.model != now.model else []
    digests = [each.head.digest if each.head else "" for each in (before, now)]
    changes += ["inputs changed"] if digests[0] != digests[1] else []
    for key in sorted({*before.options, *now.options}):
        old, new = before.options.get(key, "unset"), now.options.get(key, "unset")
        changes += [f"{key} {old} -> {new}"] if old != new else []
    for role, what in (("system", "system prompt"), ("user", "prompt"), ("assistant", "prompt")):
        old_text, new_text = ([m.content for m in each.messages if m.role == role] for each in (before, now))
        changes += [f"{what} changed"] if old_text != new_text else []
    changes += ["schema changed"] if before.schema != now.schema else []
    changes += [f"sample {before.sample} -> {now.sample}"] if before.sample != now.sample else []
    return ", ".join(dict.fromkeys(changes))
