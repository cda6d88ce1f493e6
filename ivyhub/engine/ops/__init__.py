"""The functional API: every operation, by name. One file a family; one declaration an operation.

Arrays are positional, attributes are keywords. Names and meanings are those of the Array API Standard 2025.12 where it
has the function. An array of any framework may be given, or a traced one.

    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0], np.float32))
    array([0.5, 0.5], dtype=float32)
"""

from __future__ import annotations

from .. import trace as _trace  # pyright: ignore[reportUnusedImport] operations without a rule are inferred by tracing
from .. import unsized as _unsized  # pyright: ignore[reportUnusedImport] and run over sizes that are not known
from ..op import OPS
from .activation import *
from .attention import *
from .bessel import *
from .class_losses import *
from .conv import *
from .creation import *
from .division import *
from .draws import *
from .elementwise import *
from .factors import *
from .fourier import *
from .grids import *
from .indexing import *
from .linalg import *
from .losses import *
from .margin_losses import *
from .matrices import *
from .nn import *
from .parts import *
from .patches import *
from .pooling import *
from .pooling_places import *
from .random import *
from .recurrent import *
from .reduction import *
from .resizing import *
from .scatter import *
from .shape import *
from .signal import *
from .special import *
from .trigonometry import *

__all__ = list(OPS)  # pyright: ignore[reportUnsupportedDunderAll] the table of operations is the list
