"""Entries of the gallery with their pictures as ``data:`` addresses, held to the size of the page."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from echossl.report.films import small_film, small_strip
from echossl.report.gallery import Outcome, SaliencyEntry

BYTES_PER_KILOBYTE = 1000


@dataclass(frozen=True)
class Pictured:
    """An entry as the template wants it; the fields are those of :class:`SaliencyEntry`, with addresses."""

    title: str
    caption: str
    label: bool
    score: float
    outcome: Outcome | None
    grade: str | None
    inside_share: float | None
    area_share: float | None
    strip: str
    film: str
    poster: str
    film_note: str


def pictured(entries: Sequence[SaliencyEntry], *, film_kilobytes: int) -> Iterator[Pictured]:
    """Each entry with its film, poster and stills embedded.

    Args:
        entries: as they stand on the page.
        film_kilobytes: largest size of a film, in 1,000 bytes; one that cannot be made so small is left out.
    """
    for entry in entries:
        film, poster, note = "", "", ""
        if entry.film is not None:
            small = small_film(entry.film, most_bytes=film_kilobytes * BYTES_PER_KILOBYTE)
            poster = data_url(small.poster, "image/jpeg")
            if small.content:
                film = data_url(small.content, "video/mp4")
            else:
                note = f"The film does not fit into {film_kilobytes} KB; the stills show the same."
        yield Pictured(
            title=entry.title,
            caption=entry.caption,
            label=entry.label,
            score=entry.score,
            outcome=entry.outcome,
            grade=entry.grade,
            inside_share=entry.inside_share,
            area_share=entry.area_share,
            strip=data_url(small_strip(entry.strip), "image/jpeg"),
            film=film,
            poster=poster,
            film_note=note,
        )


def data_url(content: bytes, kind: str) -> str:
    """Bytes as a ``data:`` address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
