"""One transformer for all that is done with reports: read, compared with pictures, filled in, continued."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.text import OwnTextConfig
from echossl.text.tokenizer import Tokenizer

# deviation of the random embeddings, as in BERT (arXiv 1810.04805), and epsilon of the norms
EMBEDDING_DEVIATION, NORM_EPSILON = 0.02, 1e-6


class Attention(nn.Module):
    """Tokens look at tokens, their own or those of a picture (Vaswani et al., arXiv 1706.03762)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, others: Tensor, seen: Tensor | None = None) -> Tensor:
        """What each token gathers.

        Args:
            tokens: those that look, (batch, tokens, dim).
            others: those that are looked at, (batch, others, dim).
            seen: which may be looked at, bool, broadcast to (batch, heads, tokens, others); None is all.
        """
        query = self._by_head(self.query(tokens))
        key, value = (self._by_head(part) for part in self.key_value(others).chunk(2, dim=-1))
        gathered = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        mixed: Tensor = self.proj(gathered.transpose(1, 2).flatten(2))
        return mixed

    def _by_head(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, dim) to (batch, heads, tokens, dim / heads)."""
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class TextBlock(nn.Module):
    """Attention to the text, to the pictures if there are any, and a perceptron; each after a norm."""

    def __init__(self, dim: int, heads: int, *, reads_pictures: bool) -> None:
        super().__init__()
        self.norm_text = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.to_text = Attention(dim, heads)
        self.norm_pictures = nn.LayerNorm(dim, eps=NORM_EPSILON) if reads_pictures else None
        self.to_pictures = Attention(dim, heads) if reads_pictures else None
        self.norm_mlp = nn.LayerNorm(dim, eps=NORM_EPSILON)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Tensor, seen: Tensor, pictures: Tensor | None) -> Tensor:
        """(batch, tokens, dim) to the same shape."""
        normed = self.norm_text(tokens)
        tokens = tokens + self.to_text(normed, normed, seen)
        if pictures is not None:
            if self.to_pictures is None or self.norm_pictures is None:
                raise ValueError("pictures were given to a text transformer that was made without them")
            tokens = tokens + self.to_pictures(self.norm_pictures(tokens), pictures)
        mixed: Tensor = tokens + self.mlp(self.norm_mlp(tokens))
        return mixed


class TextTransformer(nn.Module):
    """Word pieces to vectors, alone or beside the tokens of a picture, both ways or from left to right.

    Which of these is a matter of the call, so that one set of weights serves all losses, as in RetFiner
    (arXiv 2506.22149) and BLIP (arXiv 2201.12086). Random weights come from torch's global generator.

    Args:
        config: its size.
        vocabulary_size: number of word pieces.
        reads_pictures: whether blocks can look at pictures; if not, they have no weights for it.
        says_words: whether :meth:`words` can be asked; if not, there are no weights for it.
    """

    def __init__(
        self,
        config: OwnTextConfig,
        vocabulary_size: int,
        *,
        reads_pictures: bool = True,
        says_words: bool = True,
    ) -> None:
        super().__init__()
        self.dim, self.length = config.width, config.length
        self.word_embed = nn.Embedding(vocabulary_size, config.width)
        self.pos_embed = nn.Parameter(torch.empty(1, config.length, config.width))
        self.blocks = nn.ModuleList(
            TextBlock(config.width, config.heads, reads_pictures=reads_pictures) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPSILON)
        self.word_bias = nn.Parameter(torch.zeros(vocabulary_size)) if says_words else None
        self._initialise()

    def forward(self, ids: Tensor, *, pictures: Tensor | None = None, causal: bool = False) -> Tensor:
        """Vectors of the word pieces; the first, of ``[CLS]``, is that of the text.

        Args:
            ids: int64 (batch, pieces), of which the first is never padding; padding is never looked at.
            pictures: tokens of a picture for each text, (batch, tokens, dim).
            causal: whether each piece sees only itself and those before it.

        Returns:
            (batch, pieces, dim).

        Raises:
            ValueError: if there are more pieces than positions, or pictures to weights made without them.
        """
        pieces = ids.shape[1]
        if pieces > self.length:
            raise ValueError(f"found {pieces} word pieces, expected {self.length} at most")
        seen = (ids != Tokenizer.PAD)[:, None, None, :]  # (batch, heads, those that look, pieces)
        if causal:
            seen = seen & torch.ones(pieces, pieces, dtype=torch.bool, device=ids.device).tril()
        tokens = self.word_embed(ids) + self.pos_embed[:, :pieces]
        for block in self.blocks:
            tokens = block(tokens, seen, pictures)
        normed: Tensor = self.norm(tokens)
        return normed

    def words(self, hidden: Tensor) -> Tensor:
        """What word piece stands at each place: (..., dim) to logits (..., vocabulary).

        The weights are those of the embedding (Press and Wolf, arXiv 1608.05859).
        """
        if self.word_bias is None:
            raise ValueError("words were asked of a text transformer that was made without them")
        return F.linear(hidden, self.word_embed.weight, self.word_bias)

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=EMBEDDING_DEVIATION)
        nn.init.trunc_normal_(self.word_embed.weight, std=EMBEDDING_DEVIATION)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                # BERT's deviation of 0.02 is right for a width of 768 alone: narrower, all reports look alike
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
