"""The page's modules are sound in the eyes of TypeScript, which reads their JSDoc; npm brings it."""

import shutil
import subprocess
from pathlib import Path

TYPESCRIPT = "typescript@7.0.2"
HERE = Path(__file__).parent


def test_the_types_of_the_modules_hold(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    assert npm, "no npm here: apt-get install npm"
    install = [npm, "install", "--prefix", str(tmp_path), "--no-audit", "--no-fund", TYPESCRIPT]
    subprocess.run(install, check=True, capture_output=True)
    tsc = tmp_path / "node_modules" / ".bin" / "tsc"
    done = subprocess.run([tsc, "-p", HERE / "jsconfig.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
