"""The stateful API: modules and their layers, initialisers, losses, and what trains them.

    >>> from ivyhub.engine import nn, random
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).init(random.key(0, "numpy"))
    >>> sum(array.size for array in net.named_parameters().values())
    50

Optimizers are in `ivyhub.engine.optim`, metrics in `ivyhub.engine.metrics`. The parts stand in `engine.stateful`.
"""

from __future__ import annotations

from .stateful import initialisers as init  # pyright: ignore[reportUnusedImport] a name of the public face
from .stateful.attention import *
from .stateful.containers import *
from .stateful.dropout import *
from .stateful.leaves import *
from .stateful.module import *
from .stateful.operations import *
from .stateful.parametric import *
from .stateful.random_pooling import *
from .stateful.recurrent import *
from .stateful.training import *
