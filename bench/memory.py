"""Peak memory with a thousand workers in flight."""

from functools import partial

from bench.job import Job
from bench.meter import Spec
from bench.processes import endpoint, measure, middle, ratio, stats, turns
from bench.table import Part, Row, Setting

_WORKERS = 1000


def rows(setting: Setting) -> Part:
    """Ours with its log, and the bare loop's."""
    job = Job(_WORKERS, delay=2.5)
    with endpoint() as url:
        spec = Spec(url, job)
        logged = Spec(url, job, store=str(setting.folder / "memory.db"))
        variants = {"bare": partial(measure, "bare", spec), "ours": partial(measure, "ours", logged)}
        figures = turns(setting.rounds(1, 3), variants)
        assert stats(url).peak >= _WORKERS, "the workers were not all in flight at once"
    ours, bare = (f"{middle(figures[name], 'memory') / 2**20:.1f} MB" for name in ("ours", "bare"))
    share = ratio(figures["ours"], figures["bare"], "memory")
    yield Row("peak memory, 1,000 workers in flight", ours, bare, share, 1.5)
