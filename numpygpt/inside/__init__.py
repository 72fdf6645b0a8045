"""Look inside: what the numbers of a model came to hold.

Read in this order: traces (one forward pass, kept), words (tokens and words), embeddings (what is
near what), maps (the same in two dimensions), attention (who looks at whom), lens (what each block
predicts), answer and attribution (which part says a word), ablation (what is lost without it),
gradients (how the answer moves with the input), kinds, partners and planning (questions to the
built-in stories' model), check (the identities). show/looking gathers all of it for one prompt, as
`numpygpt look` shows it.

    from numpygpt.inside import trace, predictions
    seen = trace(model, ids)
    predictions(seen).anew.rank
"""

from numpygpt.inside.ablation import Ablation, Patching, ablate, logits_without, patch, patch_stream
from numpygpt.inside.answer import Answer
from numpygpt.inside.attention import (
    HeadScores,
    ScoreSplit,
    patterns,
    score_heads,
    score_patterns,
    split_score,
)
from numpygpt.inside.attribution import Attribution, attribute
from numpygpt.inside.check import Identity, identities
from numpygpt.inside.embeddings import Neighbours, neighbours, neighbours_in_context, tokens_in
from numpygpt.inside.gradients import Gradients, Integrated, input_gradients, integrated_gradients
from numpygpt.inside.kinds import Grouping, grouping, story_kinds, story_tokens
from numpygpt.inside.lens import Lens, Reading, predictions
from numpygpt.inside.maps import EmbeddingMap, embedding_map, map_in_context
from numpygpt.inside.partners import Partners, part_finders
from numpygpt.inside.planning import Planning, planned_word
from numpygpt.inside.show.looking import Look, look
from numpygpt.inside.traces import Trace, trace
from numpygpt.inside.words import token_of, token_text, token_texts, word_ids

__all__ = [
    "Ablation",
    "Answer",
    "Attribution",
    "EmbeddingMap",
    "Gradients",
    "Grouping",
    "HeadScores",
    "Identity",
    "Integrated",
    "Lens",
    "Look",
    "Neighbours",
    "Partners",
    "Patching",
    "Planning",
    "Reading",
    "ScoreSplit",
    "Trace",
    "ablate",
    "attribute",
    "embedding_map",
    "grouping",
    "identities",
    "input_gradients",
    "integrated_gradients",
    "logits_without",
    "look",
    "map_in_context",
    "neighbours",
    "neighbours_in_context",
    "part_finders",
    "patch",
    "patch_stream",
    "patterns",
    "planned_word",
    "predictions",
    "score_heads",
    "score_patterns",
    "split_score",
    "story_kinds",
    "story_tokens",
    "token_of",
    "token_text",
    "token_texts",
    "tokens_in",
    "trace",
    "word_ids",
]
