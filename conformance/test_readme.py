"""README's commands work, as they are printed, from the top to the bottom."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from stack import CLIENTS, ROOT, sigkeep_binary

# What a block is replaced by: the build is made before, and `make test` is what runs this.
LONG_RUNNING = {"make up", "make test"}


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like a checkout after `make up`, with the clients on PATH."""
    (tmp_path / "target/up").mkdir(parents=True)
    shutil.copy(sigkeep_binary(), tmp_path / "target/up/sigkeep")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "cosign").symlink_to(CLIENTS / "bin/cosign3")
    (programs / "cosign2").symlink_to(CLIENTS / "bin/cosign2")
    (programs / "rekor-cli").symlink_to(CLIENTS / "bin/rekor-cli")
    (programs / "sigstore").symlink_to(CLIENTS / "python/bin/sigstore")
    return tmp_path


def test_the_commands_of_the_readme_work_in_order(checkout):
    assert "make up" in blocks()[0]
    makefile = (ROOT / "Makefile").read_text()
    assert "sigkeep up --data-dir $(DATA_DIR)" in makefile and "DATA_DIR ?= sigkeep-data" in makefile
    env = {**os.environ, "HOME": str(checkout), "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"}
    log = (checkout / "up.log").open("wb")
    up = subprocess.Popen(
        ["target/up/sigkeep", "up", "--data-dir", "sigkeep-data"], cwd=checkout, env=env, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 30
        while not (checkout / "sigkeep-data/endpoints.json").exists():
            assert up.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.05)
        ran = 0
        for block in blocks():
            if block.strip() in LONG_RUNNING:
                continue
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=checkout, env=env, capture_output=True, text=True)
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
            ran += 1
        assert ran >= 3
    finally:
        up.terminate()
        assert up.wait(30) == 0
