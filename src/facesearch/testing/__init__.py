"""For tests of code that uses facesearch: stages that need no weights, and hypothesis strategies for every value.

`facesearch.testing.fakes` needs nothing more; `facesearch.testing.strategies` needs hypothesis (``facesearch[testing]``).
With both installed, ``hypothesis.strategies.from_type`` knows the classes of this library.
"""
