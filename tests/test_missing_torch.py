"""Without PyTorch, reading a program names the package to install."""

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
sys.modules["torch"] = None
from perfmodel.cli import main
sys.exit(main(["analyze", sys.argv[1], "-H", "h100-sxm"]))
"""


def test_a_missing_torch_is_named_with_its_mend(tmp_path: Path) -> None:
    file = tmp_path / "net.pt2"
    file.write_bytes(b"x")
    run = subprocess.run([sys.executable, "-c", CODE, str(file)], capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert run.returncode == 2
    assert "needs the package 'torch'" in run.stderr
    assert "pip install 'perfmodel[torch]'" in run.stderr
    assert run.stderr.count("\n") == 1
