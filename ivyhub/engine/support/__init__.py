"""Small functions that a framework lacks, one module a framework, which offers those of the modules beside it.

Rows refer to them as ``support.name``. The source of those that an export uses travels into it, so each function
stands alone: it uses only its framework, numpy, and other functions of its module, and carries its own docstring.
"""
