"""Text: reports become word pieces, and word pieces become vectors."""

from echossl.text.model import TextModel, build_text
from echossl.text.reports import normalised
from echossl.text.tokenizer import Tokenizer
from echossl.text.transformer import TextTransformer

__all__ = ["TextModel", "TextTransformer", "Tokenizer", "build_text", "normalised"]
