"""The text transformer: padding and the future stay unseen, pictures are seen, words share the embedding."""

import pytest
import torch
from torch import Tensor

from echossl.config.text import OwnTextConfig
from echossl.text import TextTransformer, Tokenizer

CONFIG = OwnTextConfig(width=16, depth=2, heads=2, length=12)
WORDS = 40


@pytest.fixture(scope="module")
def network() -> TextTransformer:
    torch.manual_seed(0)
    network = TextTransformer(CONFIG, WORDS)
    for parameter in network.parameters():  # attention of small weights hardly tells anything apart
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def texts(*lengths: int, total: int = 12) -> Tensor:
    ids = torch.zeros(len(lengths), total, dtype=torch.int64)
    for row, length in zip(ids, lengths, strict=True):
        row[0] = Tokenizer.CLS
        row[1 : length - 1] = torch.randint(
            5, WORDS, (length - 2,), generator=torch.Generator().manual_seed(length)
        )
        row[length - 1] = Tokenizer.SEP
    return ids


def plain_attention(layer: torch.nn.Module, tokens: Tensor, others: Tensor, seen: Tensor) -> Tensor:
    """One text, in loops: tokens (n, d), others (m, d), seen (n, m) bool."""
    query = tokens @ layer.query.weight.T + layer.query.bias
    both = others @ layer.key_value.weight.T + layer.key_value.bias
    width, size = tokens.shape[1], tokens.shape[1] // layer.heads
    out = torch.zeros_like(tokens)
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        key, value = both[:, part], both[:, width:][:, part]
        for place in range(len(tokens)):
            allowed = [other for other in range(len(others)) if seen[place, other]]
            scores = torch.stack([query[place, part] @ key[other] for other in allowed]) / size**0.5
            shares = scores.exp() / scores.exp().sum()
            out[place, part] = sum(share * value[other] for share, other in zip(shares, allowed, strict=True))
    return out @ layer.proj.weight.T + layer.proj.bias


def plain(network: TextTransformer, ids: Tensor, pictures: Tensor | None, causal: bool) -> Tensor:
    rows = []
    for number, row in enumerate(ids):
        count = len(row)
        seen = torch.zeros(count, count, dtype=torch.bool)
        for place in range(count):
            for other in range(count):
                seen[place, other] = row[other] != 0 and (other <= place or not causal)
        tokens = network.word_embed.weight[row] + network.pos_embed[0, :count]
        for block in network.blocks:
            normed = block.norm_text(tokens)
            tokens = tokens + plain_attention(block.to_text, normed, normed, seen)
            if pictures is not None:
                everything = torch.ones(count, pictures.shape[1], dtype=torch.bool)
                normed = block.norm_pictures(tokens)
                tokens = tokens + plain_attention(block.to_pictures, normed, pictures[number], everything)
            tokens = tokens + block.mlp(block.norm_mlp(tokens))
        rows.append(network.norm(tokens))
    return torch.stack(rows)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_pictures", [False, True])
def test_it_is_what_a_plain_loop_gives(network: TextTransformer, causal: bool, with_pictures: bool) -> None:
    ids = texts(4, 9, 12)
    pictures = torch.randn(3, 5, 16) if with_pictures else None
    with torch.no_grad():
        found = network(ids, pictures=pictures, causal=causal)
        torch.testing.assert_close(found, plain(network, ids, pictures, causal), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(network: TextTransformer, causal: bool) -> None:
    long, short = texts(5, 7), texts(5, 7, total=7)
    with torch.no_grad():
        before = network(long, causal=causal)
        torch.testing.assert_close(before[:, :7][short != 0], network(short, causal=causal)[short != 0])
        kept = network.word_embed.weight[Tokenizer.PAD].clone()
        network.word_embed.weight[Tokenizer.PAD] += 100
        after = network(long, causal=causal)
        network.word_embed.weight[Tokenizer.PAD] = kept
    assert torch.equal(before[long != 0], after[long != 0])
    assert not torch.equal(before[long == 0], after[long == 0])


def test_the_future_is_not_seen(network: TextTransformer) -> None:
    ids = texts(12)
    changed = ids.clone()
    changed[0, 6:11] = (ids[0, 6:11] + 7 - 5) % (WORDS - 5) + 5
    pictures = torch.randn(1, 3, 16)
    with torch.no_grad():
        one, other = (network(some, pictures=pictures, causal=True) for some in (ids, changed))
        both_ways = [network(some, pictures=pictures) for some in (ids, changed)]
    assert torch.equal(one[:, :6], other[:, :6])
    assert not torch.allclose(one[:, 6:], other[:, 6:])
    assert not torch.allclose(both_ways[0][:, :6], both_ways[1][:, :6])


def test_pictures_are_seen_where_they_are_given(network: TextTransformer) -> None:
    ids, pictures = texts(6, 6), torch.randn(2, 4, 16, requires_grad=True)
    with_pictures = network(ids, pictures=pictures)
    assert not torch.allclose(with_pictures, network(ids))
    with_pictures[0].sum().backward()
    assert pictures.grad is not None
    assert pictures.grad[0].abs().min() > 0
    assert pictures.grad[1].abs().max() == 0  # a text sees its own picture alone


def test_the_order_of_words_matters(network: TextTransformer) -> None:
    ids = texts(8)
    swapped = ids[:, [0, 2, 1, *range(3, 12)]]
    assert not torch.allclose(network(ids)[:, 0], network(swapped)[:, 0])


def test_words_are_told_by_the_embedding(network: TextTransformer) -> None:
    hidden = torch.randn(2, 3, 16)
    logits = network.words(hidden)
    assert logits.shape == (2, 3, WORDS)
    expected = hidden[1, 2] @ network.word_embed.weight[7] + network.word_bias[7]
    torch.testing.assert_close(logits[1, 2, 7], expected)


def test_what_is_not_wanted_has_no_weights() -> None:
    bare = TextTransformer(CONFIG, WORDS, reads_pictures=False, says_words=False)
    bare(texts(5))[:, 0].sum().backward()
    assert all(parameter.grad is not None for parameter in bare.parameters())
    assert not any("pictures" in name or name == "bias" for name, _ in bare.named_parameters())
    with pytest.raises(ValueError, match="without them"):
        bare(texts(5), pictures=torch.randn(1, 2, 16))
    with pytest.raises(ValueError, match="without them"):
        bare.words(torch.randn(1, 16))


def test_texts_longer_than_the_positions_are_refused(network: TextTransformer) -> None:
    with pytest.raises(ValueError, match="found 13 word pieces, expected 12"):
        network(texts(13, total=13))


def test_weights_are_those_of_the_seed() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(TextTransformer(CONFIG, WORDS).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
