"""Namespaces that conform to the Array API Standard 2025.12, one a framework.

::

    import ivyhub.engine.xp.torch as xp

    x = xp.linspace(0, 1, 5)
    xp.sum(x[1:] * 2)

Their functions take and give `engine.Array`; ``x.native`` is the framework's own array. Importing one loads its
framework and no other. What they promise is measured with data-apis/array-api-tests (``make array-api``).
"""
