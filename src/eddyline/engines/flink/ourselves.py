"""This Eddyline, as something that pip can install into another environment: its source tree, or a wheel made again.

A worker that runs another Eddyline than the process that submitted to it gives other answers, so the worker gets the very
files that run here, also where no release has them. Refuses to know what the other environment is for.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import eddyline
from eddyline.records.errors import EddylineError

_PACKAGE = Path(eddyline.__file__).parent
_LEFT_OUT = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def source_tree() -> Path | None:
    """The checkout that this Eddyline runs from; None when it was installed from a wheel."""
    root = _PACKAGE.parent.parent
    return root if _PACKAGE.parent.name == "src" and (root / "pyproject.toml").is_file() else None


def identity() -> str:
    """Says which Eddyline this is: the path of its source tree, or a digest over its installed files.

    >>> identity() == identity()
    True
    """
    root = source_tree()
    if root is not None:
        return str(root)
    whole = hashlib.blake2b(digest_size=16)
    for name, path in _files().items():
        content = path.read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"{eddyline.__version__}+{whole.hexdigest()}"


def wheel(folder: Path) -> Path:
    """Makes a wheel in `folder` of the files that are installed here, and gives its path.

    Raises `EddylineError` when this Eddyline was not installed by pip or a tool like it.
    """
    made = folder / f"eddyline-{eddyline.__version__}-py3-none-any.whl"
    info = f"eddyline-{eddyline.__version__}.dist-info"
    record = ""
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in _files().items():
            content = path.read_bytes()
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return made


def _files() -> dict[str, Path]:
    """The files of the installed wheel by their names in it: no scripts, no bytecode, nothing that the installer added."""
    # The list beside the package: another Eddyline may be earlier on the path.
    found = next(iter(distributions(name="eddyline", path=[str(_PACKAGE.parent)])), None)
    files = found.files if found else None
    if not files:
        raise EddylineError(
            f"Eddyline in {_PACKAGE} has no list of its files, so it cannot be put into the worker's environment\n"
            "install it with pip, then try again"
        )
    return {
        name: Path(str(file.locate()))
        for name, file in sorted((file.as_posix(), file) for file in files)
        if not name.startswith("../") and file.suffix != ".pyc" and file.name not in _LEFT_OUT
    }
