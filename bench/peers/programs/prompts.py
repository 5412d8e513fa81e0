"""What the peers that have no prompts of their own ask; the endpoint reads the numbers in it."""


def task(workers: int) -> str:
    """The task, which says how many subtasks it wants."""
    return f"Compare the ways a small team can run background jobs, in {workers} subtasks, and recommend one."


def plan(task: str) -> str:
    """What the orchestrator is asked."""
    return (
        "Analyze this task and divide it into subtasks that can be worked on at the same time. Say of each its type "
        f"(work) and describe it.\n\nTask: {task}\n\nReturn only JSON output."
    )


def work(task: str, type_: str, description: str) -> str:
    """What a worker is asked."""
    return f"Task: {task}\nStyle: {type_}\nGuidelines: {description}\n\nReturn only your response."


def join(task: str, results: list[str]) -> str:
    """What the synthesizer is asked."""
    joined = "\n\n".join(f"=== WORKER RESULT ===\n{text}" for text in results)
    return f"Given this task: {task}\nand the responses below, synthesize a final response.\n\n{joined}"
