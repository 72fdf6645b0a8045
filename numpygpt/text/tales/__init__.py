"""What the built-in stories are made of: their world, their plots, and their grammar.

words.py holds what is true. teller.py, of_things.py and of_animals.py write stories by it.
lexicon.py, reader.py, clauses.py, grammar.py, facts.py and memory.py read and judge them. The two
sides share the words and nothing else.
"""
