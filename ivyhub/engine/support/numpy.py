"""What NumPy lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import numpy as np
