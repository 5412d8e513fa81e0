"""How quick the page is with 1,000 subtasks: run by hand, no test.

    PYTHONPATH=tests/support uv run python tests_page/measure.py [FOLDER FOR PICTURES]


A finished run of 1,000 subtasks until it can be used, and frames while 100 workers of another are streaming.
"""

import sys
import tempfile
from pathlib import Path

from browser import Browser
from served_here import Served, serving
from stretto import Workflow
from stretto.models.simulator import Simulator

SUBTASKS, WORKERS = 1000, 100
FRAMES = """
new Promise((done) => {
  const begun = performance.now(), lasted = [];
  let last = begun;
  const frame = (now) => {
    lasted.push(now - last);
    last = now;
    if (now - begun < 5000) return requestAnimationFrame(frame);
    lasted.shift();
    lasted.sort((a, b) => a - b);
    const at = (share) => Math.round(10 * lasted[Math.floor(share * (lasted.length - 1))]) / 10;
    done(`${(1000 * lasted.length / lasted.reduce((a, b) => a + b, 0)).toFixed(1)} frames/s; ` +
      `a frame takes ${at(0.5)} ms, 95 of 100 at most ${at(0.95)}, the longest ${at(1)}`);
  };
  requestAnimationFrame(frame);
})
"""
READY = """
new MutationObserver(() => {
  if (globalThis.usable === undefined && document.querySelector('.row'))
    requestAnimationFrame(() => setTimeout(() => { globalThis.usable ??= performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""


def flow(store: Path, speed: float) -> Workflow:
    simulator = Simulator(ttft=0.3, tokens_per_second=speed)
    limits = {"parallel": WORKERS, "max_subtasks": SUBTASKS}
    return Workflow.from_toml("general", model="sim:x", providers={"sim": simulator}, store=store, limits=limits)


def started(server: Served, workflow: str) -> str:
    tasks = [
        {"type": "general", "description": f"Say what is worth knowing about tea number {number}"}
        | ({"needs": [f"t{number - 9}"]} if number % 5 == 4 and number > 9 else {})
        for number in range(SUBTASKS)
    ]
    return server.start("Write a book about a thousand teas", workflow=workflow, plan={"tasks": tasks})


def looked_at(browser: Browser, server: Served, run: str) -> str:
    browser.tell("Performance.enable", timeDomain="threadTicks")
    browser.go(f"{server.url}runs/{run}")
    browser.until("globalThis.usable !== undefined")
    used = spent(browser)["TaskDuration"] * 1000
    browser.tell("Performance.disable")
    return (
        f"usable after {browser.js('Math.round(globalThis.usable)')} ms, of which {used:.0f} of the page's own thread"
    )


def spent(browser: Browser) -> dict[str, float]:
    """Seconds of its processor that the page's own thread has taken: on a busy machine that alone tells much."""
    return {each["name"]: each["value"] for each in browser.tell("Performance.getMetrics")["metrics"]}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def frames(browser: Browser) -> str:
    """Frames of five seconds, and what they cost."""
    browser.tell("Performance.enable", timeDomain="threadTicks")
    before = spent(browser)
    told = browser.js(FRAMES)
    after = spent(browser)
    used = {
        name: round(200 * (after[name] - before[name])) for name in ("TaskDuration", "ScriptDuration", "LayoutDuration")
    }
    return f"{told}; ms of its processor a second: {used['TaskDuration']} ({used['ScriptDuration']} script, {used['LayoutDuration']} layout)"


def main(pictures: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "runs.db"
        with serving(flow(store, 1e6), flow(store, 15)) as server, Browser(Path(folder) / "browser") as browser:
            browser.size(1400, 1000)
            browser.tell("Page.addScriptToEvaluateOnNewDocument", source=READY)
            done = started(server, "general")
            server.over(done)
            say(f"{SUBTASKS} subtasks, finished: {looked_at(browser, server, done)}; {frames(browser)}")
            run = started(server, "second")
            said = looked_at(browser, server, run)
            browser.until("document.querySelectorAll('.row.running').length > 0")
            say(f"{SUBTASKS} subtasks, {WORKERS} streaming: {said}; {frames(browser)}")
            for scheme in ("light", "dark"):
                browser.scheme(scheme)
                if pictures:
                    browser.picture(pictures / f"thousand-{scheme}.png")
            say(f"complained of: {browser.wrong or 'nothing'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
