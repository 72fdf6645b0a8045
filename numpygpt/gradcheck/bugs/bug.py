"""A classic bug: a line of a layer as it should be, and as it goes wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """One mistake in one layer.

    Attributes
    ----------
    layer : str
        The class: "LayerNorm".
    name : str
        What is wrong, in a few words: "mean of g forgotten".
    right, wrong : str
        The line as it should be, which the layer's source has once, and as it goes wrong.
    arrays : str
        Which derivatives then are wrong: "x gain".
    why : str
        Why people write it, and how to see it.
    also : tuple of str, optional
        A second line that goes wrong with the first: right, wrong.
    """

    layer: str
    name: str
    right: str
    wrong: str
    arrays: str
    why: str
    also: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.layer}: {self.name}"

    def plant(self, source: str) -> str:
        """The source with the bug in it; a ValueError if it has not each line once."""
        for right, wrong in ((self.right, self.wrong), *([self.also] if self.also else [])):
            if source.count(right) != 1 or right == wrong:
                raise ValueError(
                    f"the bug {self.name!r} cannot be planted: the source of {self.layer} has "
                    f"{right!r} {source.count(right)} times, not once. Write it anew for today's"
                )
            source = source.replace(right, wrong)
        return source
