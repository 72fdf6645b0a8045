"""transformers' GPT-2 and ours, inside: attentions, hidden states, gradients by the embeddings."""

from typing import Any

import numpy as np
import pytest

from numpygpt.gpt import GPT
from numpygpt.inside import (
    Answer,
    input_gradients,
    patterns,
    predictions,
    score_heads,
    token_of,
    trace,
)
from numpygpt.pretrained import layout, load_tokenizer
from numpygpt.pretrained.load import WEIGHTS

torch = pytest.importorskip("torch", reason="needs the extra [bench]")
transformers = pytest.importorskip("transformers", reason="needs the extra [bench]")
pytest.importorskip("safetensors", reason="needs the extra [hf]")

# V, T, C, H, L, tied
SHAPES = [(61, 19, 24, 3, 2, True), (37, 11, 35, 5, 3, False)]


@pytest.fixture(autouse=True)
def quiet() -> None:
    """No progress bars and no hints of transformers."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


@pytest.fixture(params=SHAPES, ids=["tied", "untied"])
def both(request: Any, tmp_path: Any) -> tuple[Any, GPT, Any]:
    """A random GPT-2 of transformers in float64, ours from its folder, and a text's ids."""
    V, T, C, H, L, tied = request.param
    config = transformers.GPT2Config(
        vocab_size=V,
        n_positions=T,
        n_embd=C,
        n_head=H,
        n_layer=L,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
        **dict.fromkeys(layout.DROPOUTS, 0.0),
    )
    model = transformers.GPT2LMHeadModel(config).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.copy_(noise * (C**-0.5 if p.ndim > 1 else 0.5) + (".ln" in name) * (p.ndim == 1))
    model.save_pretrained(tmp_path)
    ids = np.random.default_rng(5).integers(V, size=T - 1)
    return model.eval(), GPT.from_pretrained(tmp_path, np.float64), ids


def test_attentions_and_hidden_states_agree(both: tuple[Any, GPT, Any]) -> None:
    theirs, ours, ids = both
    told = theirs(torch.tensor(ids[None]), output_attentions=True, output_hidden_states=True)
    seen = trace(ours, ids)
    P = np.stack([x[0].detach().numpy() for x in told.attentions])
    np.testing.assert_allclose(patterns(seen), P, atol=1e-9)
    *streams, end = (x[0].detach().numpy() for x in told.hidden_states)
    np.testing.assert_allclose(seen.blocks[:-1], np.stack(streams), atol=1e-9)
    last = ours.norm.view().forward(seen.blocks[-1])  # theirs is behind the final norm
    np.testing.assert_allclose(last, end, atol=1e-9)
    logits = torch.log_softmax(told.logits[0, -1], -1)
    lens = predictions(seen, word=4)
    assert lens.anew.probability[-1, -1] == pytest.approx(logits[4].exp().item(), abs=1e-9)


@pytest.mark.parametrize("answer", [None, Answer(3), Answer(3, 9, 4)])
def test_gradients_by_the_embeddings_agree(
    both: tuple[Any, GPT, Any], answer: Answer | None
) -> None:
    theirs, ours, ids = both
    e = theirs.transformer.wte(torch.tensor(ids[None])).detach().requires_grad_()
    z = theirs(inputs_embeds=e).logits[0]
    if answer is None:
        value = torch.nn.functional.cross_entropy(z[:-1], torch.tensor(ids[1:]))
    else:
        row = z[answer.position]
        value = row[answer.word] - (0 if answer.other is None else row[answer.other])
    value.backward()
    found = input_gradients(ours, ids, answer)
    g = e.grad[0].numpy()
    assert found.answer == pytest.approx(value.item(), abs=1e-9)
    np.testing.assert_allclose(found.by_embedding, g, atol=1e-9 * max(1.0, np.abs(g).max()))


# -- the released weights -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released() -> tuple[GPT, Any]:
    """GPT-2 small, if it is in huggingface_hub's cache; half a gigabyte is not fetched for this."""
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra [hf]")
    for name in ("gpt2", "openai-community/gpt2"):
        if isinstance(hub.try_to_load_from_cache(name, WEIGHTS), str):
            return GPT.from_pretrained(name), load_tokenizer(name)
    pytest.skip("GPT-2's own weights are not in huggingface_hub's cache")


def test_what_gpt2_says_of_john_and_mary(released: tuple[GPT, Any]) -> None:
    model, encoding = released
    text = "After John and Mary went to the store, John gave a bottle of milk to"
    seen = trace(model, [encoding.eot_token, *encoding.encode_ordinary(text)])
    lens = predictions(seen, token_of(encoding, "Mary"), k=3)
    assert [encoding.decode([i]) for i in lens.anew.top[-1, -1]] == [" Mary", " the", " John"]
    assert lens.anew.top_probability[-1, -1] == pytest.approx([0.7007, 0.0467, 0.0453], abs=1e-3)


def test_the_heads_that_gpt2_is_known_for(released: tuple[GPT, Any]) -> None:
    model, encoding = released
    scores = score_heads(model, begin=encoding.eot_token)
    assert scores.strongest("previous", 1)[0][:2] == (4, 11)
    induction = {found[:2] for found in scores.strongest("induction", 12)}
    assert induction >= {(5, 1), (5, 5), (6, 9), (7, 2), (7, 10)}
    duplicate = {found[:2] for found in scores.strongest("duplicate", 6)}
    assert duplicate >= {(0, 1), (0, 10), (3, 0)}
