"""Plots about people and their things: lost, borrowed, found, cooked."""

from numpygpt.text.tales import words as w
from numpygpt.text.tales.teller import Plot, Teller, did
from numpygpt.text.tales.words import article


def lost(t: Teller) -> list[str]:
    """Something is lost, and an animal finds it."""
    look, thing = t.pick(w.LOOKS), t.pick([*w.TOOLS, *w.THINGS])
    place = t.pick(
        ["garden", "forest", "park", "field", "village", "river", "lake", "farm", "beach"]
    )
    animal = t.animal(place)
    name, do = animal.name, t.pick([ability for ability in animal.can if ability != "sing"])
    way, reason = t.way(do), t.reason(animal, do)
    return [
        t.either(
            f"{t.opening()} {t.hero} lost {t.his} {look} {thing} {t.at(place)}.",
            f"{t.hero} had {article(look)} {thing}. {t.opening()} {t.he} lost it {t.at(place)}.",
        ),
        t.either(
            f"{t.he} looked {t.near()} and {t.near()}, but {t.he} could not find it.",
            f"{t.he} was sad and looked for it {t.near()}.",
            t.asks(f"Where is my {thing}"),
        ),
        f"{article(name)} {t.either(f'heard {t.him}', f'saw {t.him} and {did(do)} {t.way(do)}')}.",
        t.maybe(
            f'"I have {reason}, so I can {do} {way}," said the {name}.'
            if reason
            else f'"I will help you," said the {name}.',
            f'"I can {do} and find your {thing}," said the {name}.',
            f'"I can help you," said the {name}, "because I can {do}."',
        ),
        f"the {name} {did(do)} {way}, found the {thing} {t.near()} and "
        f"{t.either(f'brought it back to {t.him}', f'gave it to {t.hero}')}.",
        f"{t.hero} thanked {t.either(f'the {name}', 'it')} and gave it {t.food(animal)}.",
        f"{t.later()} {t.he} {w.TOOLS[thing].past} the {t.pick(w.TOOLS[thing].on)} with the "
        f"{look} {thing}."
        if thing in w.TOOLS
        else f"{t.he} walked home with {t.his} {look} {thing} and was happy.",
    ]


def borrow(t: Teller) -> list[str]:
    """A tool is borrowed, used and given back."""
    tool, look, dish = t.pick(list(w.TOOLS.values())), t.pick(w.LOOKS), t.pick(list(w.DISHES))
    on, one_more = t.pick(tool.on), " and ".join(t.rng.sample(w.DISHES[dish], 2))
    return [
        f"{t.opening()} {t.hero} wanted to {tool.verb} the {on}, but {t.he} had no {tool.name}.",
        t.either(
            f"{t.he} walked to {t.friend}.",
            f"{t.he} asked {t.friend} for help.",
            f"{t.he} saw {t.friend} {t.at('garden', 'field', 'barn', 'mill')}.",
        ),
        t.asks(f"Can I borrow your {tool.name}"),
        t.either(
            f'"Yes," said {t.other}, "but bring it back before dinner."',
            f'"Of course," {t.either(f"said {t.other}", f"{t.she} said")}.',
            f'"What do you want to {tool.verb}?" asked {t.other}.',
        ),
        f"{t.she} gave {t.him} {article(look)} {tool.name}.",
        t.either(
            f"{t.hero} {tool.past} the {on} with the {look} {tool.name}.",
            f"{t.hero} used the {tool.name} to {tool.verb} the {on}.",
        ),
        f"{t.later(w.END_OF_DAY)} {t.he} gave the {look} {tool.name} back to "
        f"{t.either(t.her, t.other)}.",
        t.either(
            f"{t.other} made {article(dish)} with {one_more}, and they ate it together.",
            f"{t.he} thanked {t.her} and gave {t.her} some {t.pick(w.SNACKS)}.",
        ),
    ]


def owner(t: Teller) -> list[str]:
    """Something is found, and given to the one who lost it."""
    look, thing = t.pick(w.LOOKS), t.pick([*w.THINGS, *w.TOOLS])
    return [
        f"{t.opening()} {t.hero} found {article(look)} {thing} {t.at()}.",
        t.either(t.asks(f"Whose {thing} is this"), t.says("I will find the owner")),
        t.maybe(f"{t.he} asked {t.elder}, but it was not {t.hers}."),
        f"{t.later()} {t.he} met {t.friend} {t.at()}.",
        t.either(
            f'"That is my {thing}!" said {t.other}.',
            f'"I lost my {look} {thing} {t.at()}," said {t.other}.',
            f'"I am looking for my {look} {thing}," said {t.other}.',
        ),
        t.either(
            f"{t.hero} gave it to {t.her}.",
            f"{t.hero} gave the {look} {thing} to {t.other}.",
        ),
        t.either(
            f"{t.other} thanked {t.him}, and they walked home together.",
            f"{t.she} was happy and gave {t.him} some {t.pick(w.SNACKS)}.",
        ),
    ]


def meal(t: Teller) -> list[str]:
    """A dish is made; an animal smells it and gets its share."""
    dish = t.pick(list(w.DISHES))
    parts = w.DISHES[dish]
    animal = t.pick([a for a in w.ANIMALS.values() if {*a.eats} & {*parts}])
    food = t.pick([part for part in parts if part in animal.eats])
    more = t.pick([part for part in parts if part != food])
    went = did(t.pick([ability for ability in animal.can if ability != "sing"]))
    return [
        f"{t.opening()} {t.hero} wanted to make {article(dish)} for {t.elder}.",
        f"{t.he} bought {t.either(f'{food} and {more}', f'{more} and {food}')} "
        f"{t.at('market', 'farm', 'village')}.",
        t.either(
            f"on the way home, {t.he} met {article(animal.name)}.",
            f"{article(animal.name)} smelled the {food}.",
        ),
        t.either(
            f'"Are you hungry?" asked {t.hero}, and {t.he} gave it some {food}.',
            f"{t.hero} gave it some {food}, and it {went} {t.either('away', 'home')}.",
        ),
        f"{t.either('at home,', t.later())} {t.hero} washed the {more} and made the {dish}.",
        f"{t.elder} came home and ate {t.either('it', f'the {dish}')}.",
        t.either(
            f'"This {dish} is very good," {t.she} said.',
            f'"Thank you for the {dish}," said {t.elder}.',
            f"{t.she} was happy, and {t.hero} was proud.",
        ),
    ]


PLOTS: list[Plot] = [lost, borrow, owner, meal]
