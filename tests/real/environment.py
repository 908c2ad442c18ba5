"""An environment of its own for the inference server, in .real/ of the checkout: some 1.5 GB, made once, in a minute or two.

pip and venv, not uv: a machine without the internet has its wheels where PIP_FIND_LINKS says, and uv does not look there.
On Linux torch from PyPI brings gigabytes of CUDA; PIP_EXTRA_INDEX_URL with PyTorch's index of CPU wheels spares them.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".real"
PYTHON = PLACE / "venv" / "bin" / "python"
SERVE = PLACE / "venv" / "bin" / "transformers"
MODEL = PLACE / "model"
MAKER = Path(__file__).with_name("tiny_model.py")

REQUIREMENTS = ["torch==2.13.0", "transformers[serving]==5.23.0"]
# Nothing may be fetched: not the model, not a template, not a telemetry ping.
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def wanted() -> str:
    return hashlib.sha256("\n".join([*REQUIREMENTS, MAKER.read_text(), sys.version]).encode()).hexdigest()


def ready() -> bool:
    stamp = PLACE / "stamp"
    return stamp.exists() and stamp.read_text() == wanted()


def make() -> None:
    """Makes what is not there yet."""
    if ready():
        return
    PLACE.mkdir(exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PLACE / "venv")], check=True)
    subprocess.run([str(PYTHON), "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    subprocess.run([str(PYTHON), str(MAKER), str(MODEL)], check=True, env=os.environ | OFFLINE)
    (PLACE / "stamp").write_text(wanted())
