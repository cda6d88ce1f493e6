"""What PyTorch lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import torch
