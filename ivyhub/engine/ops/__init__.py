"""The functional API: every operation, by name. One file a family; one declaration an operation."""

from __future__ import annotations

from .elementwise import *
