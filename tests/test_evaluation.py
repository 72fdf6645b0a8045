"""Sliding-window evaluation against an oracle that asks for one token at a time."""

import io
import math
import re

import numpy as np
import pytest

from numpygpt.config import GPTConfig
from numpygpt.gpt import GPT
from numpygpt.gradcheck.oracles import draw_parameters
from numpygpt.text.tokenizer import END_OF_TEXT, byte_encoding, encode_text
from numpygpt.training import evaluation
from numpygpt.training.evaluation import evaluate, report, windows

T = 8
TEXT = "Every effort moves you, said nobody: and so it did not. \u00e9!"


@pytest.fixture(scope="module")
def model() -> GPT:
    model = GPT(GPTConfig(257, T, 12, 3, 2), 0, np.float64)
    draw_parameters(model, np.random.default_rng(3))
    return model.eval()


def naive_nats(model: GPT, text: str, stride: int) -> list[float]:
    """Token by token: the window that starts latest among those that hold the token's turn."""
    ids = encode_text(byte_encoding(), END_OF_TEXT + text).astype(np.int64)
    nats = []
    for i in range(1, len(ids)):  # token i is predicted from ids[start:i]
        later = max(0, -(-(i - T) // stride))  # windows after the first, up to this one
        end = min(T + later * stride, len(ids) - 1)
        start = max(0, end - T)
        logits = model.forward(ids[None, start:i])[0, -1]
        nats.append(math.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[ids[i]])
    return nats


@pytest.mark.parametrize("stride", [1, 3, 4, T])
@pytest.mark.parametrize("length", [1, T - 1, T, T + 1, 3 * T + 2, len(TEXT)])
def test_every_token_is_scored_once_with_its_context(model: GPT, stride: int, length: int) -> None:
    text = TEXT[:length]
    score = evaluate(model, byte_encoding(), text, stride)
    expected = naive_nats(model, text, stride)
    assert score.tokens == len(expected) == score.n_bytes
    assert score.nats == pytest.approx(math.fsum(expected), rel=1e-12)
    assert score.perplexity == pytest.approx(math.exp(math.fsum(expected) / len(expected)))
    assert score.bits_per_byte == pytest.approx(
        math.fsum(expected) / len(expected) / math.log(2), rel=1e-12
    )


@pytest.mark.parametrize(("n", "stride"), [(1, 1), (8, 4), (9, 4), (100, 3), (100, 8), (101, 7)])
def test_windows_cover_each_prediction_once_with_enough_before(n: int, stride: int) -> None:
    turns = []
    for start, scored in windows(n, T, stride):
        end = min(start + T, n)
        turns += [(at, at - start) for at in range(end - scored, end)]
    assert [at for at, _ in turns] == list(range(n))
    assert all(before >= T - stride for at, before in turns if at >= T)


def test_a_smaller_stride_gives_more_context() -> None:
    """A later prediction of stride s sees from T - s to T - 1 tokens before it: by their mean."""
    means = []
    for stride in (T, 5, 4, 2, 1):
        seen = []
        for start, scored in windows(80, T, stride):
            end = min(start + T, 80)
            seen += [at - start for at in range(end - scored, end)]
        means.append(float(np.mean(seen[T:])))
        assert means[-1] == pytest.approx(T - 1 - (stride - 1) / 2, abs=0.1)
    assert means == sorted(means) and len(set(means)) == len(means)


@pytest.mark.parametrize("stride", [1, 3])
def test_windows_that_run_in_several_batches(
    model: GPT, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH_TOKENS", 5 * T)
    sizes = [len(starts) for _, starts in evaluation.batches(len(TEXT), T, stride)]
    assert max(sizes) == 5 and len(sizes) > 3
    score = evaluate(model, byte_encoding(), TEXT, stride)
    assert score.nats == pytest.approx(math.fsum(naive_nats(model, TEXT, stride)), rel=1e-12)


def test_mode_is_kept_and_progress_ends_at_the_end(model: GPT) -> None:
    reported: list[tuple[int, int]] = []
    model.train()
    score = evaluate(model, byte_encoding(), TEXT, 3, lambda *step: reported.append(step))
    assert model.training
    model.eval()
    assert reported[-1] == (score.tokens, score.tokens)
    assert [done for done, _ in reported] == sorted({done for done, _ in reported})


@pytest.mark.parametrize("stride", [0, -1, T + 1])
def test_a_stride_outside_the_context_is_refused(model: GPT, stride: int) -> None:
    with pytest.raises(ValueError, match=f"stride of 1 to {T}, the context, got {stride}"):
        evaluate(model, byte_encoding(), TEXT, stride)


def test_a_text_without_bytes_is_refused(model: GPT) -> None:
    with pytest.raises(ValueError, match="expected a text, got an empty one"):
        evaluate(model, byte_encoding(), END_OF_TEXT)


def test_the_report_names_every_number(model: GPT, capsys: pytest.CaptureFixture[str]) -> None:
    report(model, byte_encoding(), TEXT, 4)
    score = evaluate(model, byte_encoding(), TEXT, 4)
    assert re.fullmatch(
        rf"{score.loss:.4f} nats a token, perplexity {score.perplexity:.2f}, "
        rf"{score.bits_per_byte:.4f} bits a byte; 59 tokens, 59 bytes, \d+\.\d s\n",
        capsys.readouterr().out,
    )


def test_a_long_report_gives_signs_of_life(
    model: GPT, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH_TOKENS", T)
    monkeypatch.setattr("numpygpt.training.progress.SILENCE", 0.0)
    report(model, byte_encoding(), TEXT, T)  # stderr is no terminal here
    out, err = capsys.readouterr()
    assert err.splitlines() == [f"{done} of 59 tokens" for done in [*range(8, 59, 8), 59]]
    assert out.count("\n") == 1


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_report_needs_no_stderr(
    stream: object, model: GPT, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    report(model, byte_encoding(), "x", 1)
    assert capsys.readouterr().out.count("\n") == 1
