"""Model servers side by side: what ``benchmarks/compare.py`` is made of."""
