"""Plots about animals: cared for, guessed, met, seen on a walk, and watching over a herd."""

from numpygpt.text.tales import words as w
from numpygpt.text.tales.teller import Plot, Teller, counted, did, no
from numpygpt.text.tales.words import Animal, article

HURTS = [  # an animal, a part of it, and what it cannot do without
    (animal, part, ability.name)
    for animal in w.ANIMALS.values()
    for ability in w.ABILITIES.values()
    for part in ability.parts
    if ability.name in animal.can and part in animal.has
]


def lacking(one: Animal, other: Animal) -> list[str]:
    """What one has not and the other has, as far as it can be said."""
    return [part for part in other.has if part not in one.has and part not in w.COMMON]


def rescue(t: Teller) -> list[str]:
    """A hurt animal is cared for until it is well."""
    animal, part, do = t.pick(HURTS)
    name, home = animal.name, t.pick(animal.home)
    return [
        f"{t.opening()} {t.hero} found a {t.either('little', 'young')} {name} {t.at(home)}.",
        t.either(
            f"it had a hurt {part} and could not {do}.",
            f"its {part} was hurt, so it could not {do}.",
        ),
        t.maybe(t.says(f"Poor little {name}"), t.says("I will help you")),
        t.either(
            f"{t.he} brought it home and gave it {t.food(animal)}.",
            f"{t.he} took the {name} to {t.elder}.",
        ),
        t.either(
            f"every day, {t.he} washed the {part} and gave the {name} {t.food(animal)}.",
            f"the {name} ate {t.food(animal)} and slept in a {'tub' if part == 'fin' else 'box'}.",
        ),
        f"{t.later(w.LATER_DAYS)} its {part} was {t.either('strong', 'well')} again, and the "
        f"{name} could {do}.",
        t.either(
            f"it {did(do)} {t.way(do)}, and {t.hero} was happy.",
            f"it {did(do)} back to the {home}, and {t.hero} waved.",
        ),
        t.maybe(f"the next spring, the {name} came back to see {t.him}."),
    ]


def riddle(t: Teller) -> list[str]:
    """Somebody thinks of an animal; somebody guesses it, first wrongly and then rightly."""
    right = t.pick([a for a in w.ANIMALS.values() if not {*a.has} <= w.COMMON])
    wrong = t.pick([a for a in w.ANIMALS.values() if lacking(a, right)])
    part = t.pick(lacking(wrong, right))
    more = t.either(f"it can {t.pick(right.can)}", f"it eats {t.pick(right.eats)}")
    guess = article(right.name)
    missing = f"{article(wrong.name)} has {no(part)}"
    return [
        t.either(
            f"{t.opening()} {t.hero} and {t.elder} sat {t.at()}.",
            f"{t.hero} walked to the {t.pick(list(w.PLACES))} with {t.elder}.",
        ),
        t.says("I am thinking of an animal"),
        t.either(
            t.says(f"It has {counted(part)}", f"and {more}"),
            t.says(f"I{more[1:]}", f"and it has {counted(part)}"),
        ),
        f'"Is it {article(wrong.name)}?" asked {t.elder}.',
        t.either(f'"No, {missing}," said {t.hero}.', f'"No," said {t.hero}, "{missing}."'),
        f'"Then it is {guess}," {t.either(f"said {t.elder}", f"{t.she} said")}.',
        t.either(
            f'"Yes, you are right," said {t.hero}, and they laughed.',
            f"{t.hero} laughed and gave {t.her} some {t.pick(w.SNACKS)}.",
        ),
    ]


def friends(t: Teller) -> list[str]:
    """Two animals compare what they have and can do, and become friends."""
    place = t.pick(["garden", "forest", "park", "field", "pond", "lake", "river", "sea", "harbour"])
    first = t.animal(place)
    second = t.animal(place, but=first)
    one, two, do, also = first.name, second.name, t.pick(first.can), t.pick(second.can)
    way, far = t.way(do), t.way(also)
    missing = lacking(second, first)
    return [
        t.either(
            f"{t.opening()} {article(one)} and {article(two)} met {t.at(place)}.",
            f"{article(one)} and {article(two)} lived {t.at(place)}.",
        ),
        f'"I have {t.part(first)}, and I can {do} {way}," said the {one}.',
        f'"I have {no(t.pick(missing))}," said the {two}, "but I have {t.part(second)}, and I can '
        f'{also}."'
        if missing
        else f'"I can {also} {far}," said the {two}.',
        f"{t.either('', t.later() + ' ')}the {one} {did(do)} {way}, "
        f"and the {two} {did(also)} {far}.",
        f"the {one} ate {t.food(first)}, and the {two} ate {t.food(second)}.",
        t.either(
            f"{t.later(w.END_OF_DAY[:2])} they were tired but happy.",
            "from that day on, they were good friends.",
            f"the {one} and the {two} were friends.",
        ),
    ]


def walk(t: Teller) -> list[str]:
    """Two people see animals on a walk, feed them, and tell of them at home."""
    place = t.pick([p for p in w.PLACES if sum(p in a.home for a in w.ANIMALS.values()) > 1])
    homely = [a for a in w.ANIMALS.values() if place in a.home]
    many = t.pick([a for a in homely if a.plural != a.name])  # one salmon, two salmon: not clear
    one = t.animal(place, but=many)
    do, also = t.pick(many.can), t.pick(one.can)
    reason, herd = t.reason(one, also), many.plural
    return [
        f"{t.opening()} {t.hero} and {t.friend} walked to the {place}.",
        f"they saw {t.pick(w.NUMBERS)} {herd} and {article(one.name)}.",
        t.either(
            f"the {herd} were hungry, so {t.hero} gave them {t.food(many)}.",
            f"{t.other} gave the {herd} {t.food(many)}.",
        ),
        f"the {one.name} {did(also)} {t.way(also)}, and the {herd} {did(do)} {t.way(do)}.",
        t.maybe(
            f'"Look, the {herd} have {w.PARTS[t.pick(many.has)][0]}," said {t.other}.',
            f'"The {one.name} can {also}," said {t.other}, "because it has {reason}."'
            if reason
            else f'"The {one.name} has {t.part(one)}," said {t.other}.',
        ),
        f"{t.later(w.END_OF_DAY[:2])} {t.hero} told {t.elder} about the "
        f"{t.either(one.name, herd)}.",
    ]


def farm(t: Teller) -> list[str]:
    """A herd runs away, and a clever animal finds it."""
    many = w.ANIMALS[t.pick(w.HERDS)]
    helper = t.animal(t.either("farm", "field", "village"), but=many)
    trade, name, herd = t.pick(w.TRADES), helper.name, many.plural
    do = t.pick([ability for ability in helper.can if ability != "sing"])
    return [
        f"{article(trade)} named {t.hero} had {t.pick(w.NUMBERS)} {herd} and {article(name)}.",
        f"one {t.pick(w.ROUGH)} night, the gate was open, and the {herd} "
        f"{t.either(f'{did(many.can[0])} away', 'were gone')}.",
        t.maybe(f'"Where are my {herd}?" asked {t.hero}.', f"{t.hero} was very sad."),
        f"the {name} {did(do)} {t.way(do)} and found them "
        f"{t.at('hill', 'forest', 'river', 'field')}.",
        t.either(
            f"the {trade} thanked the {name} and gave it {t.food(helper)}.",
            f"{t.hero} gave the {name} {t.food(helper)}, and the {herd} ate {t.food(many)}.",
        ),
        t.either(
            f"then {t.he} mended the gate with a hammer.",
            f"{t.later(w.END_OF_DAY[:2])} the {herd} slept in the barn.",
        ),
    ]


PLOTS: list[Plot] = [rescue, riddle, friends, walk, farm]
