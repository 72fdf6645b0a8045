"""The small world of the built-in stories: its words, and what is true of them.

The generator (stories.py) writes only what these tables allow, and the parser (parser.py) judges
what it reads by them. Each table is a text with one entry a line and fields between bars.
"""

from dataclasses import dataclass


def rows(table: str) -> list[list[str]]:
    """The lines of a table, each a list of its fields."""
    return [[field.strip() for field in line.split("|")] for line in table.strip().splitlines()]


@dataclass(frozen=True)
class Animal:
    """An animal: what it has, what it can do, what it eats and where it lives."""

    name: str
    plural: str
    has: tuple[str, ...]
    can: tuple[str, ...]
    eats: tuple[str, ...]
    home: tuple[str, ...]


# name | plural | has | can | eats | lives in
ANIMALS = {
    name: Animal(name, plural, *(tuple(f.split()) for f in rest))
    for name, plural, *rest in rows("""
robin | robins | wing beak feather tail | fly sing hop | seeds worms berries | garden forest park
sparrow | sparrows | wing beak feather tail | fly sing hop | seeds corn worms | garden village park
bluetit | bluetits | wing beak feather tail | fly sing hop | seeds nuts worms | garden forest park
owl | owls | wing beak feather tail claw | fly | mice | forest barn
duck | ducks | wing beak feather tail | fly swim dive | corn worms | pond lake river
gull | gulls | wing beak feather tail | fly swim | shrimps | sea harbour beach
manta ray | manta rays | fin gill tail | swim dive | shrimps | sea harbour
parrot fish | parrot fish | fin gill scale beak tail | swim dive | seaweed | sea harbour
goldfish | goldfish | fin gill scale tail | swim dive | worms flies | pond lake
salmon | salmon | fin gill scale tail | swim dive jump | shrimps flies | river sea
frog | frogs | leg | swim jump hop | flies worms | pond lake river
turtle | turtles | shell beak leg tail | swim dive crawl | seaweed leaves | sea beach lake
cat | cats | paw whisker tail ear claw | run jump climb | milk mice | garden village barn kitchen
dog | dogs | paw tail ear | run jump dig | bones bread | farm village park garden beach
fox | foxes | paw tail ear | run jump dig | mice berries | forest field
rabbit | rabbits | paw tail ear | run hop dig | carrots grass | field garden forest
squirrel | squirrels | paw tail ear claw | run jump climb | nuts seeds | forest park
hedgehog | hedgehogs | spine paw tail ear | run crawl dig | worms berries | garden forest park
horse | horses | hoof mane tail ear | run jump | hay grass apples | farm field
goat | goats | hoof horn tail ear | run jump climb | hay grass leaves | farm hill
cow | cows | hoof horn tail ear | run | hay grass | farm field
bee | bees | wing feeler leg | fly crawl | honey nectar | garden field park
butterfly | butterflies | wing feeler leg | fly | nectar | garden field park
""")
}  # fmt: skip

# How a part is counted: "a beak", "two wings", "feathers".
PARTS = {
    name: (plural, count)
    for name, plural, count in rows("""
wing    | wings    | two
beak    | beaks    | a
feather | feathers |
tail    | tails    | a
claw    | claws    |
fin     | fins     |
gill    | gills    |
scale   | scales   |
leg     | legs     |
shell   | shells   | a
paw     | paws     | four
whisker | whiskers |
ear     | ears     | two
spine   | spines   |
hoof    | hooves   | four
mane    | manes    | a
horn    | horns    | two
feeler  | feelers  | two
""")
}
# Parts that others have too, unnamed: nobody is said to have none of them.
COMMON = {"leg", "ear", "claw", "whisker", "scale", "spine"}


@dataclass(frozen=True)
class Ability:
    """Something that animals do: its past, where they do it, and the parts that it takes."""

    name: str
    past: str
    way: str
    spots: tuple[str, ...]
    parts: tuple[str, ...]


ABILITIES = {
    name: Ability(name, past, way, tuple(spots.split()), tuple(parts.split()))
    for name, past, way, spots, parts in rows("""
fly   | flew    | over    | hill river wall roof field sea lake  | wing
sing  | sang    | from    | roof tree fence                      | beak
hop   | hopped  | along   | path wall fence                      | leg paw
swim  | swam    | across  | river lake pond harbour sea          | fin
dive  | dived   | under   | boat bridge                          | fin
run   | ran     | through | field forest garden village park     | paw hoof
jump  | jumped  | over    | wall log fence stone                 | leg
climb | climbed | up      | tree hill wall                       | claw
dig   | dug     | under   | fence tree stone                     | paw
crawl | crawled | under   | bush log stone                       | leg paw
""")
}


@dataclass(frozen=True)
class Tool:
    """A tool: the verb of its work, the verb's past, and what it works on."""

    name: str
    verb: str
    past: str
    on: tuple[str, ...]


TOOLS = {
    name: Tool(name, verb, past, tuple(on.split()))
    for name, verb, past, on in rows("""
key    | open  | opened  | gate door box
saw    | cut   | cut     | wood branch
spade  | turn  | turned  | soil
broom  | sweep | swept   | floor path stairs
brush  | paint | painted | wall boat door fence
hammer | mend  | mended  | roof chair fence gate
needle | sew   | sewed   | coat sail
ladder | reach | reached | roof nest
rope   | pull  | pulled  | cart boat
lamp   | light | lit     | cave stairs
bucket | water | watered | roses
knife  | slice | sliced  | bread cheese
axe    | chop  | chopped | log wood
oar    | row   | rowed   | boat
""")
}
THINGS = ["umbrella", "ring", "hat", "scarf", "kite", "ball", "book", "drum", "coin", "bell"]
LOOKS = ["red", "blue", "green", "yellow", "orange", "silver", "golden", "old", "new", "little"]

PLACES = {
    name: tuple(words.split())
    for name, words in rows("""
garden  | in
forest  | in
park    | in
field   | in
village | in
kitchen | in
barn    | in
hill    | on
farm    | on
beach   | on
river   | by in
lake    | by in
pond    | by in
sea     | by in
harbour | in
market  | at
school  | at
mill    | at
""")
}  # where one is: the words that may stand before "the", the usual one first
HIDING = [
    (where, spot)
    for where, spots in rows("""
under  | bush bridge log
behind | wall tree fence stone
near   | gate well boat
""")
    for spot in spots.split()
]

NAMES = {
    name: pronoun
    for pronoun, names in rows("""
she | Anna Mia Lily Nora Ada Ruth Clara Eve Rosa Ivy
he  | Tom Ben Sam Max Leo Omar Paul Jack Hugo Finn
""")
    for name in names.split()
}
RELATIVES = {name: "she" for name in ("mother", "grandmother", "aunt", "sister")}
RELATIVES |= {name: "he" for name in ("father", "grandfather", "uncle", "brother")}
FRIENDS = ["friend", "neighbour", "teacher", "cousin"]  # come with a name: "her friend Tom"
TRADES = ["farmer", "baker", "miller", "sailor", "gardener", "doctor"]
HERDS = ["cow", "horse", "goat", "duck"]

# Dishes and what goes into them; people eat all of it, and some more.
DISHES = {
    name: tuple(parts.split())
    for name, parts in rows("""
cake  | nuts eggs honey plums apples
pie   | plums apples berries pears
soup  | carrots onions beans potatoes corn
salad | carrots onions nuts beans eggs
""")
}
SNACKS = ["bread", "cheese", "plums", "pears", "apples", "nuts", "honey", "berries", "milk"]
PEOPLE_EAT = {*SNACKS, *(part for parts in DISHES.values() for part in parts)}
FOODS = PEOPLE_EAT | {food for animal in ANIMALS.values() for food in animal.eats}

ROUGH = ["windy", "cold", "rainy"]
WEATHER = [*ROUGH, "sunny", "warm", "bright", "quiet"]
NUMBERS = ["two", "three", "four"]
TIMES = ["morning", "afternoon", "evening", "day"]
LATER = ["then", "soon", "at last", "after a while", "a little later"]
END_OF_DAY = ["in the evening", "that night", "before dinner"]
LATER_DAYS = ["the next day", "after a week", "two days later", "the next spring"]
PRONOUNS = {"she": ("her", "her", "hers"), "he": ("him", "his", "his")}  # object, owner, "hers"


def article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"
