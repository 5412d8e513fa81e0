"""CPU of a streamed token: a hundred live workers at the pace of real models."""

from functools import partial

from bench.job import Job
from bench.meter import Spec
from bench.processes import endpoint, measure, middle, ratio, turns
from bench.table import Part, Row, Setting


def rows(setting: Setting) -> Part:
    """100 streamed workers at 80 tokens a second each."""
    job = Job(100, pieces=1, tokens=setting.rounds(240, 480))
    with endpoint() as url:
        spec = Spec(url, job)
        logged = Spec(url, job, store=str(setting.folder / "stream.db"))
        variants = {"bare": partial(measure, "bare", spec), "ours": partial(measure, "ours", logged)}
        figures = turns(setting.rounds(2, 5), variants)
    tokens = job.workers * job.tokens
    ours, bare = (f"{middle(figures[name], 'cpu') / tokens * 1e6:.1f} us" for name in ("ours", "bare"))
    share = ratio(figures["ours"], figures["bare"], "cpu")
    yield Row("CPU a streamed token, 100 workers at 80 tokens/s", ours, bare, share, 1.3)
