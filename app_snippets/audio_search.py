"""Find recordings: the same one, a similar sound, or by words: `uvicorn app_snippets.audio_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from app_snippets.calls.listening import (
    Heard,
    Recognising,
    Recording,
    RecordingHit,
    about,
    add_pictures,
    pack,
)
from app_snippets.service.store import Found
from workshop import TextEncoder, sounds

PIECE = 13  # sounds of one sample: 38 pieces, so that a load can be watched and stopped


class Settings(service.ServiceSettings):
    """Read from variables such as `AUDIO_SEARCH_MAX_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix="AUDIO_SEARCH_")
    name: service.ServiceName = "audio_search"
    max_file_bytes: int = Field(sounds.MAX_BYTES, gt=0)
    max_seconds: float = Field(sounds.MAX_SECONDS, gt=0, le=7_200)  # of a recording
    max_decode_seconds: float = Field(60.0, gt=0)  # of a processor, to read one recording
    alike: float = Field(0.3, ge=-1, le=1)  # cosine that similar sounds have with a file, at least
    votes: int = Field(
        sounds.VOTES, gt=0
    )  # for the same recording at least so many codes at one shift,
    times: float = Field(sounds.TIMES, ge=1)  # and so many times those of the next best


By = StrEnum("By", ["similar", "same"])  # how it sounds, or the very recording


class Sounds(Recognising):
    """A recording by how it sounds (musicnn), by words (ConSE over tags), and by its fingerprint."""

    name = "musicnn, all-MiniLM-L6-v2, and fingerprints of pairs of peaks"
    spaces: Mapping[str, int] = {
        "sound": sounds.SoundEncoder.dim,
        "words": TextEncoder.dim,
        "prints": service.SPARSE,
    }
    media_type, media_suffix = "audio/flac", ".flac"
    modes = By
    depth = 50  # candidates by shared codes, which are aligned in time

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.model, self.texts = sounds.SoundEncoder(), TextEncoder()
        self.scale = sounds.Scale.of_course()

    def read(self, content: bytes, name: str, stopped: Callable[[], bool]) -> Heard:
        """A recording, read in a process that can be ended."""
        heard = self.files.run(content, name, stopped)
        seen = self.model.hear(heard.pop("patches"))
        return Heard(**heard, vector=seen[0], tags=seen[1])

    def entries(self, source: service.Source, stopped: Callable[[], bool]) -> service.Entries:
        """What was sent, or the sounds of a piece of the course's."""
        if source.path is not None:
            heard = self.read(source.path.read_bytes(), source.name, stopped)
            yield service.Entry(heard, source.name, source.category, source.id, about(heard))
            return
        ids = {sound: uuid5(NAMESPACE_URL, f"audio/{sound.id}").hex for sound in source.content}
        new = [
            sound for sound in ids if not self.kept(ids[sound])
        ]  # those here are not heard again
        played = [sound.read() for sound in new]
        prints = [sounds.fingerprint(samples) for samples in played]
        parts = zip(played, prints, *self.model.run(played), strict=True)
        heard = {
            sound: Heard(samples, *own, *seen)
            for sound, (samples, own, *seen) in zip(new, parts, strict=True)
        }
        for sound, unique in ids.items():
            told = about(heard[sound]) if sound in heard else {}
            yield service.Entry(heard.get(sound), sound.name, sound.kind, unique, told)

    def media(self, item: Heard) -> bytes:
        """FLAC, mono, 16,000 samples a second: what was listened to."""
        return pack(item.samples, item.codes, item.frames)

    def encode(self, items: Sequence[Heard]) -> Mapping[str, service.Vectors]:
        """sound (n, 1506), words (n, 384), and a 1 for each code of a fingerprint."""
        return {
            "sound": self.scale(np.array([item.vector for item in items])),
            "words": sounds.in_words(np.array([item.tags for item in items])),
            "prints": [dict.fromkeys(item.codes.tolist(), 1.0) for item in items],
        }

    def query(self, asked: service.Asked) -> Mapping[str, service.Vector]:
        """A text by words, in every mode; a sound by how it sounds, or by its codes."""
        if asked.text is not None:
            return {"words": self.texts.encode([asked.text])[0]}
        if asked.mode != By.same:
            return super().query(asked)
        return {"prints": self.codes_of(asked)}

    def rank(self, asked: service.Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """As found. For a file, that may be like nothing here: what is not alike at all is left out.

        Of the same recording only those whose codes agree in time, which may be none.
        """
        ((space, hits),) = found.items()
        if space == "prints":
            return self.same(asked, hits)
        if asked.item is not None:
            return [hit for hit in hits if hit.score >= self.settings.alike]
        return hits

    def samples(self) -> Iterator[service.Source]:
        """The course's 494 sounds, in pieces."""
        every = sounds.sounds()
        for piece in (every[first : first + PIECE] for first in range(0, len(every), PIECE)):
            yield service.Source(None, f"{piece[0].name} and more", piece[0].kind, content=piece)


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return service.create_service(
        settings,
        title="Audio search",
        description="Finds recordings: the same one, a similar sound, or by words. Scores are cosines; in the mode `same` "
        "the share of the question's codes that a recording has at one shift in time. A file may find nothing.",
        encoder=Sounds,
        payload=Recording,
        hit=RecordingHit,
        page="audio_search.html",
        calls=add_pictures,
    )


app = create_app(Settings())
