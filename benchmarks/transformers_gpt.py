"""The same forward pass and generation with transformers' GPT-2."""

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from benchmarks.torch_gpt import set_threads
from benchmarks.work import Turn, Work, mean_loss
from numpygpt import GPT

NAMES = (  # numpygpt's, transformers'
    ("token_embedding.W", "wte.weight"),
    ("position_embedding.W", "wpe.weight"),
    ("blocks.", "h."),
    ("norm1", "ln_1"),
    ("norm2", "ln_2"),
    ("attention.qkv", "attn.c_attn"),
    ("attention.proj", "attn.c_proj"),
    ("feedforward.fc", "mlp.c_fc"),
    ("feedforward.proj", "mlp.c_proj"),
    ("norm.", "ln_f."),
    (".gain", ".weight"),
    (".W", ".weight"),
)


def build(work: Work) -> GPT2LMHeadModel:
    """GPT2LMHeadModel of the work's shape, with numpygpt's weights."""
    c = work.config
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=c.vocab_size,
            n_positions=c.context_length,
            n_embd=c.n_embd,
            n_layer=c.n_layer,
            n_head=c.n_head,
            attn_implementation="sdpa",
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    _load(model, work.model())
    return model


@torch.no_grad()
def _load(theirs: GPT2LMHeadModel, ours: GPT) -> None:
    parameters = dict(theirs.transformer.named_parameters())
    for name, p in ours.named_parameters():
        if name.endswith(".b"):
            name = name.removesuffix("b") + "bias"
        for our_name, their_name in NAMES:
            name = name.replace(our_name, their_name)
        parameters.pop(name).copy_(torch.from_numpy(p.data))
    assert not parameters, f"not loaded: {sorted(parameters)}"


def prepare(work: Work) -> Turn:
    """Transformers' turn: logits of all tokens, or greedy generation."""
    set_threads()
    model = build(work)
    if work.kind == "forward":
        ids, targets = next(work.batches())
        inputs = torch.from_numpy(ids.copy())

        def forward() -> float:
            with torch.inference_mode():
                return mean_loss(model(inputs, use_cache=False).logits.numpy(), targets)

        return lambda: [forward() for _ in range(work.steps)]

    prompt = torch.from_numpy(work.prompt())
    how = GenerationConfig(
        max_new_tokens=work.tokens,
        min_new_tokens=work.tokens,
        do_sample=False,
        use_cache=work.cache,
        eos_token_id=None,
        pad_token_id=0,
    )
    everything = torch.ones_like(prompt)

    def generate() -> list[float]:
        with torch.inference_mode():
            ids: torch.Tensor = model.generate(prompt, how, attention_mask=everything)
        return [float(i) for i in ids.flatten().tolist()]

    return generate
