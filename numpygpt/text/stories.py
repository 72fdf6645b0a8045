"""The built-in stories: short tales of people, animals and tools, written by a seeded generator.

Every story keeps its own facts: a name its pronoun, a thing its owner and its colour, an animal
what it has and can do. That is what there is to learn, and what parser.py checks. The plots are in
tales/of_things.py and tales/of_animals.py, the words in tales/words.py.
"""

import random
from functools import lru_cache

from numpygpt.text.tales import of_animals, of_things
from numpygpt.text.tales.teller import Teller, capital


def stories(count: int, seed: int = 0) -> list[str]:
    """Stories, one string each.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        The same seed tells the same stories, and a longer list begins with the shorter one.

    Returns
    -------
    stories : list of str
        Sentences with one space between them.
    """
    if count < 0:
        raise ValueError(f"stories: expected a count of at least 0, got {count}")
    return list(_told(count, seed))


@lru_cache(maxsize=4)  # what looks inside a model asks for the same ones again and again
def _told(count: int, seed: int) -> tuple[str, ...]:
    rng = random.Random(seed)
    plots = of_things.PLOTS + of_animals.PLOTS
    told = (rng.choice(plots)(Teller(rng)) for _ in range(count))
    return tuple(" ".join(capital(sentence) for sentence in story if sentence) for story in told)
