"""What JAX lacks. See `ivyhub.engine.support`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
