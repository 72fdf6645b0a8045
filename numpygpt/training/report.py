"""What a run tells of itself: what it will do, what the model writes by now, how good it became."""

import tiktoken

from numpygpt.generation import generate
from numpygpt.gpt import GPT
from numpygpt.text.parser import share_well_formed, share_well_formed_stories
from numpygpt.text.tokenizer import END_OF_TEXT, encode_text
from numpygpt.training.data import Text
from numpygpt.training.loop import Trainer

SAMPLE_TOKENS = 60  # that continue the prompt
FRESH = 200  # samples that are judged at the end
TEMPERATURE, TOP_P = 0.8, 0.95  # of all samples


def describe(trainer: Trainer, encoding: tiktoken.Encoding) -> str:
    """What will be done, in three lines."""
    c, data, m = trainer.config, trainer.data, trainer.model.config
    return (
        f"text   {len(data.train):,} tokens to learn from, {len(data.held_out):,} held out; "
        f"{encoding.n_vocab:,} in the vocabulary ({encoding.name})\n"
        f"model  {trainer.model.num_parameters():,} parameters: {m.n_layer} blocks, width "
        f"{m.n_embd}, {m.n_head} heads, context {m.context_length}\n"
        f"train  {c.steps:,} steps of {c.batch_size * c.accumulate} x {m.context_length} tokens"
    )


def sample(model: GPT, encoding: tiktoken.Encoding, prompt: str) -> str:
    """The prompt, continued, with its lines set in."""
    ids = encode_text(encoding, prompt or END_OF_TEXT)[None]
    eos = encoding.eot_token
    out = generate(model, ids, SAMPLE_TOKENS, TEMPERATURE, top_p=TOP_P, eos_id=eos, rng=1)[0]
    return indent(encoding.decode([int(i) for i in out if i != eos], errors="replace"))


def fresh_stories(
    model: GPT, encoding: tiktoken.Encoding, count: int = FRESH, seed: int = 2
) -> list[str]:
    """New samples from nothing but the end-of-text token."""
    eos = encoding.eot_token
    prompts = [[eos]] * count
    out = generate(model, prompts, 250, TEMPERATURE, top_p=TOP_P, eos_id=eos, rng=seed)
    return [encoding.decode([int(i) for i in row if i != eos]).strip() for row in out]


def judge_stories(model: GPT, encoding: tiktoken.Encoding, text: Text) -> str:
    """How good fresh stories are, as the parser sees it, and whether any is only copied."""
    fresh = fresh_stories(model, encoding)
    learned = set(text.train.split(END_OF_TEXT))
    copies = sum(story in learned for story in fresh)
    return (
        f"{FRESH} fresh stories: {share_well_formed(fresh):.1%} of their sentences are well "
        f"formed, {share_well_formed_stories(fresh):.1%} of the stories hold together from "
        f"end to end,\nand {copies} are copies of a training story; the first of them:\n"
        f"{indent(fresh[0])}\n"
    )


def indent(text: str) -> str:
    """The text with its lines set in; a control character that gibberish has is not sent on."""
    lines = text.rstrip("\n").split("\n")
    return "\n".join("    " + "".join(c if c.isprintable() else "\ufffd" for c in l) for l in lines)
