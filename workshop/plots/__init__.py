"""The pictures of the course, named by what they show. Each function returns a `Picture`.

In a chapter make it the last expression of a cell and Jupyter shows it:

    plots.gallery(images, titles)

Or keep it (`picture = plots.curve(...)`) and save it with `picture.savefig(...)`. A chapter that
draws by itself, in a line or two of matplotlib, ends with `plots.show("what it shows, in words")`.
Importing this package has given both the same fonts and colours.

Names in pictures are English: matplotlib's own font has no Chinese letters, and a learner's machine
may have none either. Chinese names belong in printed text.
"""

from workshop.plots.answers import quotation, scores_by_kind
from workshop.plots.base import (
    COLOURS,
    MARKERS,
    QUERY,
    Picture,
    curve,
    done,
    gallery,
    hits,
    scatter_2d,
    show,
    style,
)
from workshop.plots.collections import life_of_a_row, photo_hits, service_hits
from workshop.plots.digits import (
    digit_comparison,
    digit_copies,
    digit_sheet,
    distance_outlines,
    distance_panels,
    picture_as_numbers,
    time_and_bytes,
)
from workshop.plots.embeddings import (
    photo_lines,
    photo_map,
    precision_by_category,
    similarity_table,
    tokens_and_speed,
)
from workshop.plots.films import film_cuts
from workshop.plots.indexes import hnsw_layers, islands, ivf_cells, recall_and_speed
from workshop.plots.language import attention_map
from workshop.plots.loops import who_has_the_thread
from workshop.plots.molecules import (
    by_similarity,
    molecule,
    random_pairs,
    similar_drugs,
    similar_molecules,
    surroundings,
)
from workshop.plots.recommendations import long_tail, reasons, visits
from workshop.plots.sequences import aligned, bars, scores_by_test
from workshop.plots.shots import (
    boxes,
    cut_curves,
    pair_histogram,
    shot_hits,
    shot_sheet,
    split_histogram,
)
from workshop.plots.sounds import (
    matching_peaks,
    recognised,
    sound_picture,
    votes_by_shift,
    waveform,
)
from workshop.plots.texts import intervals, lit_texts, score_by_slice, token_similarities
from workshop.plots.twins import lines_of_code, speeds, work_per_request
from workshop.plots.waiting import (
    answers_by_way,
    answers_during_a_load,
    lanes,
    stored_over_time,
)
from workshop.plots.web import letter_answers

__all__ = [
    "COLOURS",
    "MARKERS",
    "QUERY",
    "Picture",
    "aligned",
    "answers_by_way",
    "answers_during_a_load",
    "attention_map",
    "bars",
    "boxes",
    "by_similarity",
    "curve",
    "cut_curves",
    "digit_comparison",
    "digit_copies",
    "digit_sheet",
    "distance_outlines",
    "distance_panels",
    "done",
    "film_cuts",
    "gallery",
    "hits",
    "hnsw_layers",
    "intervals",
    "islands",
    "ivf_cells",
    "lanes",
    "letter_answers",
    "life_of_a_row",
    "lines_of_code",
    "lit_texts",
    "long_tail",
    "matching_peaks",
    "molecule",
    "pair_histogram",
    "photo_hits",
    "photo_lines",
    "photo_map",
    "picture_as_numbers",
    "precision_by_category",
    "quotation",
    "random_pairs",
    "reasons",
    "recall_and_speed",
    "recognised",
    "scatter_2d",
    "score_by_slice",
    "scores_by_kind",
    "scores_by_test",
    "service_hits",
    "shot_hits",
    "shot_sheet",
    "show",
    "similar_drugs",
    "similar_molecules",
    "similarity_table",
    "sound_picture",
    "speeds",
    "split_histogram",
    "stored_over_time",
    "style",
    "surroundings",
    "time_and_bytes",
    "token_similarities",
    "tokens_and_speed",
    "visits",
    "votes_by_shift",
    "waveform",
    "who_has_the_thread",
    "work_per_request",
]
