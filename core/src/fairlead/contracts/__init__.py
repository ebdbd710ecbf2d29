"""What plugins and the core promise each other: descriptors, abstract classes and the tensors between them.

Plugin authors import these names from ``fairlead`` itself; the modules here are where they are defined.
Importing this package loads no third-party library; `fairlead.contracts.tensors` alone loads numpy.
"""
