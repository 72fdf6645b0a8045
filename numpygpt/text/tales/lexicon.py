"""The words as the reader (grammar.py) meets them: what each may be, and what may follow a verb."""

from numpygpt.text.tales import words as w

# past | base | frames. Capitals stand for phrases (Reader.argument), small words for themselves;
# the first frame that fits is taken, so longer ones come first.
VERBS = {
    past: (base, [frame.split() for frame in frames.split(";")])
    for past, base, frames in w.rows("""
lost    | lose    | T AT
found   | find    | T NEAR; T AT; A AT; the owner; T
looked  | look    | NEAR and NEAR; for T NEAR
heard   | hear    | P
saw     | see     | P AT; A and A; A; P
asked   | ask     | P for help; P
brought | bring   | T back to P; T back before dinner; A home
gave    | give    | A F; T back to P; T to P; P F; P T
thanked | thank   | A; P
used    | use     | T to TASK
borrowed| borrow  | T
walked  | walk    | home with T; home together; to PLACE with P; to PLACE; to P
made    | make    | D with F and F; D for P; D
ate     | eat     | F; D together; D
took    | take    | A to P
washed  | wash    | F; PART
slept   | sleep   | in a box; in a tub; in the barn
waved   | wave    |
laughed | laugh   |
came    | come    | back to see P; home
sat     | sit     | AT
met     | meet    | A; P AT; AT
lived   | live    | AT
bought  | buy     | F and F AT
smelled | smell   | F
told    | tell    | P about A
helped  | help    | P
""")
}
WAYS = [["WAY"], ["back", "to", "PLACE"], ["away"], ["home"], []]  # of every ability
USES = [["WORK", "with", "T"], ["WORK"]]  # of every tool
WORKED_ON = {
    tool.verb: [thing for t in w.TOOLS.values() if t.verb == tool.verb for thing in t.on]
    for tool in w.TOOLS.values()
}
# A verb's forms: the past, and the form after "can".
PAST = (
    VERBS
    | {a.past: (a.name, WAYS) for a in w.ABILITIES.values()}
    | {t.past: (t.verb, USES) for t in w.TOOLS.values()}
)
BASES = {base: (base, frames) for base, frames in PAST.values()}
OPENINGS = [
    text.split()
    for text in [
        *(f"one {a} night ," for a in w.ROUGH),
        *(f"one {a} {b} ," for a in w.WEATHER for b in w.TIMES),
        *(f"{time} ," for time in [*w.LATER, *w.END_OF_DAY, *w.LATER_DAYS]),
        *["every day ,", "from that day on ,", "on the way home ,", "at home ,", "then"],
    ]
]
SUBJECTS = {"she": 1, "he": 1, "it": 1, "that": 1, "they": 2, "I": 1, "you": 2}
OBJECTS = {"her": "she", "him": "he", "it": "it", "them": "they", "you": "you"}
OWNERS = {"her": "she", "his": "he", "its": "it", "my": "I", "your": "you"}
NOUNS = {
    **{p: ("part", name, 2) for name, (p, _) in w.PARTS.items()},
    **{name: ("part", name, 1) for name in w.PARTS},
    **{t: ("thing", t, 1) for t in [*w.THINGS, *w.TOOLS]},
    **{d: ("dish", d, 1) for d in w.DISHES},
    **{t: ("person", t, 1) for t in w.TRADES},
    **{f: ("food", f, 2) for f in w.FOODS},
    **{a.plural: ("animal", a.name, 2) for a in w.ANIMALS.values()},
    **{a: ("animal", a, 1) for a in w.ANIMALS},
    "animal": ("any", "animal", 1),
    "gate": ("gate", "gate", 1),
}
LOOKS = [*w.LOOKS, "young", "hurt"]
# be ... | of whom
STATES = {
    tuple(state.split()): kinds.split()
    for state, kinds in w.rows("""
tired but happy | person animal
sad             | person animal
happy           | person animal
proud           | person animal
hungry          | person animal
hurt            | part
very sad        | person animal
very good       | dish
good friends    | several
friends         | several
strong again    | part
well again      | part
open            | gate
gone            | several
right           | person
""")
}
