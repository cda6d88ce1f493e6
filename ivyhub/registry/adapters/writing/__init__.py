"""From a graph to native source: what the emitters of all frameworks share."""

from __future__ import annotations
