"""Where the registry is; apart from the store, so that the command line finds its settings without loading that."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """The registry's folder: ``$IVYHUB_HOME``, else the user data folder of the system."""
    place = os.environ.get("IVYHUB_HOME")
    if not place:
        import platformdirs

        place = platformdirs.user_data_dir("ivyhub", appauthor=False)
    return Path(place).expanduser()


def make_home(home: Path) -> None:
    """Make the registry's folder, for its owner only."""
    from ivyhub.registry.files import make_folder

    if not home.is_dir():
        make_folder(home.parent)
        home.mkdir(mode=0o700, exist_ok=True)
