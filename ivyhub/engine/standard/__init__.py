"""The functions of the Array API Standard 2025.12, each written once, over native arrays of every framework.

They have the standard's signatures and its letter (special values, default dtypes, copies) where the operations of
`engine.ops` have the frameworks' meaning and no more than one spelling. What agrees already is an operation.

Functions that create arrays out of nothing take the name of the framework first; the namespaces of `engine.xp` bind it.
"""
