"""The registry: finds, converts, keeps and verifies models."""

from __future__ import annotations
