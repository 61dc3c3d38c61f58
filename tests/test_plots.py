"""The pictures that chapters share: they draw without a warning, at a size a notebook can keep."""

import io
import warnings

import httpx
import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from workshop import WorkshopError, dna, drugs, films, molecules, objects, plots
from workshop.datasets import photos
from workshop.retrieval import Interval

RANDOM = np.random.default_rng(0)
LONG = "A name that goes on and on and would run over its neighbours " * 3


def png(figure) -> bytes:
    """Draw the figure as a notebook does; a warning is a failure."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def texts(figure) -> list[str]:
    found = []
    for axis in figure.axes:
        found += [axis.get_xlabel(), *(t.get_text() for t in axis.texts)]
    return [t for t in found if t]


@pytest.fixture(scope="module")
def some():
    return photos()[::21][:20]


def test_a_gallery_shows_each_picture_with_its_title_and_stays_below_150_kb(some):
    figure = plots.gallery([p.open() for p in some], [p.name for p in some])
    assert sum(bool(axis.images) for axis in figure.axes) == 20
    assert [t.replace("\n", " ") for t in texts(figure)] == [p.name for p in some]
    assert len(png(figure)) < 150_000


@pytest.mark.parametrize("count", [1, 2, 8, 9])
def test_a_gallery_of_any_count_draws(some, count):
    figure = plots.gallery([p.open() for p in some[:count]])
    assert sum(bool(axis.images) for axis in figure.axes) == count
    png(figure)


def test_a_gallery_without_images_says_so():
    figure = plots.gallery([])
    assert texts(figure) == ["no images"]
    png(figure)


def test_an_array_of_no_images_says_so_too():
    assert texts(plots.gallery(np.zeros((0, 8, 8)))) == ["no images"]


def test_long_titles_are_wrapped_cut_and_stay_below_their_picture(some):
    figure = plots.gallery([p.open() for p in some[:3]], [LONG] * 3)
    png(figure)
    for axis in figure.axes:
        assert axis.get_xlabel().count("\n") == 2
        assert axis.get_xlabel().endswith("…")
        label = axis.xaxis.label.get_window_extent()
        assert label.width <= 1.1 * figure.dpi
        assert label.y0 >= 0


def test_the_kinds_of_picture_that_chapters_have_all_draw():
    kinds = [
        RANDOM.random((8, 8)),
        RANDOM.integers(0, 255, (10, 20, 3), dtype=np.uint8),
        Image.new("L", (30, 30), 128),
        Image.new("RGBA", (30, 10), (255, 0, 0, 0)),
        Image.new("P", (5, 50)),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (3000, 2)),
    ]
    png(plots.gallery(kinds))


def test_transparency_is_shown_on_white_and_wide_pictures_are_padded():
    figure = plots.gallery([Image.new("RGBA", (40, 10), (255, 0, 0, 0))])
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape[0] == shown.shape[1]
    assert (shown == 255).all()


def test_titles_that_do_not_match_are_refused_with_both_numbers(some):
    with pytest.raises(WorkshopError, match="1 images but 2 titles"):
        plots.gallery([some[0].open()], ["a", "b"])


@pytest.mark.parametrize("wrong", [{"columns": 0}, {"size": 0}])
def test_an_impossible_grid_is_refused(some, wrong):
    with pytest.raises(WorkshopError, match="larger than 0"):
        plots.gallery([some[0].open()], **wrong)


def test_hits_show_the_query_first_then_names_and_scores_in_the_order_given(some):
    found = some[1:4]
    figure = plots.hits(
        some[0].open(), [p.open() for p in found], [0.5, 0.912, -0.1], [p.name for p in found]
    )
    labels = [t.split("\n") for t in texts(figure)]
    assert labels[0] == ["query"]
    assert [" ".join(t[:-1]) for t in labels[1:]] == [p.name for p in found]
    assert [t[-1] for t in labels[1:]] == ["0.50", "0.91", "-0.10"]
    assert len(png(figure)) < 150_000


def test_hits_for_words_show_the_words(some):
    figure = plots.hits("a bird that cannot fly", [some[0].open()], [0.4])
    assert "a bird that cannot fly" in " ".join(texts(figure)).replace("\n", " ")
    png(figure)
    png(plots.hits(LONG, [some[0].open()], [0.4], [LONG]))


def test_dollars_in_a_name_or_query_are_text_and_not_formulas(some):
    figure = plots.hits("$5 and $", [some[0].open()], [0.4], ["$x_{$ for $5"])
    assert not any(
        t.get_parse_math() for axis in figure.axes for t in [*axis.texts, axis.xaxis.label]
    )
    png(figure)


def test_hits_without_results_say_so():
    figure = plots.hits("nothing like it", [], [])
    assert "nothing found" in texts(figure)
    png(figure)


def test_hits_that_do_not_match_their_scores_or_names_are_refused(some):
    image = some[0].open()
    with pytest.raises(WorkshopError, match="1 results but 2 scores"):
        plots.hits(image, [image], [0.1, 0.2])
    with pytest.raises(WorkshopError, match="1 results but 1 scores and 0 names"):
        plots.hits(image, [image], [0.1], [])


def test_a_scatter_gives_each_label_a_colour_and_the_rarest_share_grey():
    labels = [name for name in "abcdefgh" for _ in range(9 - "abcdefgh".index(name))] + ["i"]
    figure = plots.scatter_2d(RANDOM.normal(size=(len(labels), 2)), labels, annotate={0: "here"})
    legend = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert legend == [*"abcdefg", "other"]
    colours = {tuple(c.get_facecolor()[0]) for c in figure.axes[0].collections}
    assert len(colours) == 8
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) == len(labels)
    assert "here" in texts(figure)
    png(figure)


def test_a_scatter_draws_without_labels_and_without_points():
    png(plots.scatter_2d(RANDOM.normal(size=(5, 2))))
    assert texts(plots.scatter_2d(np.zeros((0, 2)))) == ["no points"]


def test_a_scatter_refuses_what_is_not_a_plane_or_not_labelled():
    with pytest.raises(WorkshopError, match=r"\(4, 3\), expected \(n, 2\)"):
        plots.scatter_2d(np.zeros((4, 3)))
    with pytest.raises(WorkshopError, match="4 points but 1 labels"):
        plots.scatter_2d(np.zeros((4, 2)), ["a"])


def test_a_curve_names_its_axes_and_marks_the_values_tried():
    figure = plots.curve(
        [8, 16, 32],
        {"HNSW": [0.6, 0.8, 0.9], "IVF": [0.5, 0.7, 0.8]},
        xlabel="ef",
        ylabel="recall@10",
        log="x",
    )
    axis = figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_xscale()) == ("ef", "recall@10", "log")
    png(figure)
    assert [t.get_text() for t in axis.get_xticklabels()] == ["8", "16", "32"]


def test_a_curve_refuses_lines_of_another_length():
    with pytest.raises(WorkshopError, match="'HNSW' has 2 values for 3 x positions"):
        plots.curve([1, 2, 3], {"HNSW": [1, 2]}, xlabel="x", ylabel="y")


def test_figures_are_closed_so_that_a_notebook_shows_them_once(some):
    before = plt.get_fignums()
    plots.gallery([some[0].open()])
    plots.scatter_2d(np.ones((3, 2)))
    plots.curve([1, 2], {"a": [1, 2]}, xlabel="x", ylabel="y")
    assert plt.get_fignums() == before


def test_a_cell_shows_a_figure_exactly_once(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # Jupyter sets it for its kernels
    cells = [
        "from workshop import datasets, plots\n"
        "images = [p.open() for p in datasets.photos()[:3]]\n"
        "plots.gallery(images)",
        "plots.hits('words', images, [1, 1, 1])",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplots.show('a line that rises')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    for cell in notebook.cells:
        picture, words = cell.outputs
        assert picture.data["image/png"]
        alt = picture.metadata["image/png"]["alt"]
        assert picture.data["text/plain"] == alt
        assert alt in words.data["text/html"]


def test_every_picture_says_in_words_what_it_shows(some):
    images = [p.open() for p in some[:2]]
    told = {
        plots.gallery(images, ["a", "b"]): "2 pictures in rows: a, b.",
        plots.gallery(images[:1], alt="A goose."): "A goose.",
        plots.hits("geese", images, [0.5, 0.25], ["a", "b"]): (
            'The query is the words "geese". 2 pictures found, best first, with scores: '
            "a (0.50), b (0.25)."
        ),
        plots.hits(images[0], [], []): "The query is a picture. Nothing was found.",
        plots.scatter_2d(np.ones((2, 2)), ["x", "y"], title="Digits"): (
            "Digits: 2 points in a plane, one colour and marker for each of x, y."
        ),
        plots.curve([1, 9], {"HNSW": [0.5, 1]}, xlabel="ef", ylabel="recall"): (
            "recall over ef from 1 to 9: HNSW from 0.5 to 1."
        ),
    }
    assert {repr(picture): picture.alt for picture in told} == {t: t for t in told.values()}


def test_a_picture_without_words_is_refused():
    figure, _ = plt.subplots()
    with pytest.raises(WorkshopError, match="text alternative"):
        plots.done(figure, " ")
    plt.close(figure)


def test_photo_hits_look_the_photos_up_by_the_ids_of_the_hits(some):
    found = [{"id": some[3].id, "distance": 0.5}, {"id": some[1].id, "distance": 0.25}]
    picture = plots.photo_hits(some[0], found, some)
    assert f"{some[3].name} (0.50), {some[1].name} (0.25)" in picture.alt
    png(picture)
    with pytest.raises(WorkshopError, match="No photo has the id 'nobody'"):
        plots.photo_hits(some[0], [{"id": "nobody", "distance": 1}], some)


def test_the_life_of_a_row_names_its_steps_in_order():
    picture = plots.life_of_a_row()
    steps = [t for t in texts(picture) if "\n" not in t]
    assert steps == ["insert", "flush", "by itself"]
    png(picture)


# ------------------------------------------------------------------------ chapter 01, digits


INK = RANDOM.integers(0, 17, (6, 4, 4)).astype(float)


@pytest.mark.parametrize(
    ("queries", "said"),
    [("left", "for 5: 6; for 3: 4"), ("top", "Above an orange line: 5, 6. Below it: 3, 4.")],
)
def test_a_sheet_of_digits_says_what_was_found_for_which(queries, said):
    picture = plots.digit_sheet(INK, [1, 2, 3, 4, 5, 6], [[4, 5], [2, 3]], queries)
    assert picture.alt.startswith("4 handwritten digits.") and said in picture.alt
    shown = picture.axes[0].images[0].get_array()
    assert np.array_equal(shown[1:5, 1:5], INK[4]) and np.array_equal(shown[7:11, 7:11], INK[3])
    png(picture)


def test_a_picture_as_numbers_shows_each_number_twice():
    picture = plots.picture_as_numbers(INK[0])
    page, strip = picture.axes
    assert [int(t.get_text()) for t in page.texts] == INK[0].ravel().tolist()
    assert [bar.get_height() for bar in strip.patches] == INK[0].ravel().tolist()
    assert " ".join(str(int(n)) for n in INK[0, 1]) in picture.alt
    png(picture)


def test_a_comparison_shows_difference_and_product_of_each_pair():
    titles = [["a", "b", "c"], ["d", "e", "f"]]
    picture = plots.digit_comparison(INK[0], INK[1:3], titles)
    shown = [axis.images[0].get_array() for axis in picture.axes]
    assert np.array_equal(shown[6], INK[0] - INK[2]) and np.array_equal(shown[7], INK[0] * INK[2])
    assert "a, b, c; d, e, f" in picture.alt
    png(picture)


def test_copies_have_their_names_and_one_scale():
    picture = plots.digit_copies({"full": np.full((2, 2), 16.0), "half": np.full((2, 2), 8.0)})
    assert [axis.get_title(loc="left") for axis in picture.axes] == ["full", "half"]
    assert {axis.images[0].get_clim() for axis in picture.axes} == {(0, 16)}
    assert "half (ink 8.0 on average)" in picture.alt
    png(picture)


@pytest.mark.parametrize("draw", [plots.distance_panels, plots.distance_outlines])
def test_distances_say_how_far_they_spread(draw):
    picture = draw({2: np.array([1.0, 3.0]), 9: np.array([2.0, 2.0])})
    assert "0.50" in picture.alt and "0.00" in picture.alt
    png(picture)


def test_time_and_bytes_has_a_colour_a_width_and_the_trip():
    measured = [(16, 1_000_000, 0.001), (16, 4_000_000, 0.004), (64, 4_000_000, 0.003)]
    picture = plots.time_and_bytes(measured, 2e9)
    lines = {line.get_label(): line.get_xydata() for line in picture.axes[0].lines}
    assert np.allclose(lines["d = 16"], [[1, 1], [4, 4]]) and np.allclose(lines["d = 64"], [[4, 3]])
    assert np.allclose(lines["one trip through memory"], [[1, 0.5], [4, 2]])
    assert "3 measurements" in picture.alt and "2.0 GB" in picture.alt
    png(picture)


# ------------------------------------------------------------------------ chapter 02, embeddings


def test_lines_of_photos_say_their_names_and_have_a_line_between_parts(some):
    parts = {"query": 1, "found": 2}
    picture = plots.photo_lines(some, [[0, 3, 1], [2, 4, 5]], parts, ["first", "second"])
    assert f"first: {some[0].name}, {some[3].name}, {some[1].name}; second: " in picture.alt
    assert "query (1), found (2)" in picture.alt
    axis = picture.axes[0]
    assert [line.get_xdata()[0] for line in axis.lines] == [63.5]
    assert [t.get_text() for t in axis.get_xticklabels()] == list(parts)
    assert [t.get_text() for t in axis.get_yticklabels()] == ["first", "second"]
    assert len(png(picture)) < 150_000
    png(plots.photo_lines(some, [[0, 1]]))


def test_a_table_of_similarities_shows_each_and_says_the_nearest():
    scores = np.array([[1, 0.25, 0.5], [0.25, 1, 0.125], [0.5, 0.125, 1]])
    picture = plots.similarity_table(["a", "b", "c"], scores)
    shown = [float(t.get_text()) for t in picture.axes[0].texts]
    assert np.allclose(shown, scores.ravel(), atol=0.006)
    assert "a c 0.50; b a 0.25; c a 0.50" in picture.alt
    png(picture)


def test_a_map_of_photos_names_those_at_its_edges(some):
    picture = plots.photo_map(some[:4], np.array([[0.0, 1], [1, 0], [2, 3], [5, 2]]))
    names = [photo.name for photo in some[:4]]
    assert f"left is {names[0]}, farthest right {names[3]}" in picture.alt
    assert f"lowest {names[1]}, highest {names[2]}" in picture.alt
    png(picture)


def test_precision_by_category_is_in_the_order_of_the_first_way():
    ways = {"good": np.array([0.5, 1, 0.25]), "bad": np.array([0, 0.5, 1])}
    picture = plots.precision_by_category(ways, ["b", "b", "a"])
    axis = picture.axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["a (1)", "b (2)"]
    assert {line.get_label(): line.get_xdata().tolist() for line in axis.lines} == {
        "good": [0.25, 0.75],
        "bad": [1, 0.25],
    }
    assert "b good 0.75, bad 0.25; a good 0.25, bad 1.00" in picture.alt
    png(picture)


def test_tokens_and_speed_has_a_line_a_length():
    picture = plots.tokens_and_speed([(6, 6, 0.003), (6, 12, 0.004), (24, 24, 0.002)])
    lines = {line.get_label(): line.get_xydata().tolist() for line in picture.axes[0].lines}
    assert np.allclose(lines["6 tokens each"], [[6, 2], [12, 3]])
    assert "from 2.0 to 12.0 thousand" in picture.alt
    png(picture)


# ------------------------------------------------------------------------ chapter 04, indexes


def test_islands_name_each_group_and_count_it():
    points = np.array([[0, 0], [1, 0], [9, 9]])
    picture = plots.islands(points, ["sea", "sea", "land"])
    assert texts(picture) == ["land", "sea"]
    assert "sea (2)" in picture.alt and "land (1)" in picture.alt
    png(picture)


def test_more_islands_than_colours_all_draw():
    png(plots.islands(RANDOM.normal(size=(40, 2)), [f"group {n % 20}" for n in range(40)]))


def test_cells_say_how_many_rows_were_read_and_how_many_of_the_nearest_found():
    points = np.array([[x, 0.0] for x in range(12)])
    cell = np.array([0] * 6 + [1] * 6)
    centres = np.array([[2.5, 0], [8.5, 0]])
    read = {"one cell": cell == 0, "all": cell >= 0}
    picture = plots.ivf_cells(points, centres, cell, np.array([2.0, 1.0]), read)
    titles = [axis.get_title(loc="left") for axis in picture.axes]
    assert titles[1:] == ["all: 12 rows read, 10 of 10 found"]
    assert titles[0] in picture.alt and titles[0].startswith("one cell: 6 rows read, 6 of 10")
    png(picture)


@pytest.mark.parametrize(("path", "word"), [([0, 1, 2], "is the"), ([0, 1], "is not the")])
def test_layers_say_what_was_looked_at_and_whether_the_nearest_was_reached(path, word):
    points = np.array([[0.0, 0], [1, 0], [2, 0]])
    walks = [([{1}, {0}], [0], {0, 1}), ([{1}, {0, 2}, {1}], path, {0, 1, 2})]
    picture = plots.hnsw_layers(points, walks, np.array([2.1, 0]))
    assert [axis.get_title(loc="left") for axis in picture.axes] == [
        "layer of 2 rows: 2 looked at",
        "layer of 3 rows: 3 looked at",
    ]
    assert f"{word} nearest point" in picture.alt
    png(picture)


def test_recall_and_speed_has_a_line_an_index_and_a_band_on_what_none_beats():
    runs = [
        {"name": "FLAT", "recall": 1.0, "ms": 2.0},
        {"name": "IVF nprobe=1", "recall": 0.7, "ms": 0.1},
        {"name": "IVF nprobe=2", "recall": 0.9, "ms": 0.2},
        {"name": "HNSW ef=10", "recall": 0.95, "ms": 0.15},
    ]
    picture = plots.recall_and_speed(runs)
    lines = {line.get_label(): line.get_xydata().tolist() for line in picture.axes[0].lines}
    assert lines["IVF"] == [[0.7, 10_000], [0.9, 5_000]]
    assert [x for x, _ in lines["Pareto front"]] == [0.7, 0.95, 1.0]
    assert "4 measurements" in picture.alt and "IVF from recall 0.70" in picture.alt


def test_service_hits_fetch_the_pictures_of_the_hits(some):
    def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=some[int(request.url.path.split("/")[2])].path.read_bytes()
        )

    found = [{"id": n, "score": 0.5, "payload": {"name": some[n].name}} for n in (3, 1)]
    answer = httpx.Response(200, json={"hits": found}, request=httpx.Request("POST", "http://x/"))
    with httpx.Client(base_url="http://x", transport=httpx.MockTransport(serve)) as client:
        picture = plots.service_hits("ducks", answer, client)
        assert f"{some[3].name} (0.50), {some[1].name} (0.50)" in picture.alt
        png(picture)
        answer.status_code = 404
        with pytest.raises(httpx.HTTPStatusError):
            plots.service_hits("ducks", answer, client)


def test_who_has_the_thread_says_what_was_measured():
    picture = plots.who_has_the_thread(plain=(0, 2, 2.1), awaiting=(3, 3.01, 3.005))
    assert "waited 2,000 ms" in picture.alt and "after 2,100 ms" in picture.alt
    assert "waited 10 ms" in picture.alt and "after 5 ms" in picture.alt
    png(picture)


# ------------------------------------------------------------------------ chapter 05, pipelines


def test_the_cuts_of_a_film_are_marked_and_told_with_what_the_cosines_are_there(some):
    film = [photo.open() for photo in some[:4]]
    picture = plots.film_cuts(film, [0.9, 0.25, 0.8], [2])
    strip, below = picture.axes
    assert strip.images[0].get_array().shape == (40, 160, 3)
    assert [line.get_xdata()[0] for line in below.lines[1:]] == [1.5]
    assert picture.alt.endswith(
        "Lines mark 1 cut, before frame 2: there it is at most 0.25, elsewhere at least 0.80."
    )
    png(picture)


def test_a_film_without_cuts_says_so_and_one_of_other_length_is_refused(some):
    film = [photo.open() for photo in some[:2]]
    assert plots.film_cuts(film, [0.9], []).alt.endswith("No cut is marked.")
    with pytest.raises(WorkshopError, match="2 frames have 1 pair of neighbours, not 2"):
        plots.film_cuts(film, [0.9, 0.8], [])


# ------------------------------------------------------------------------ chapter 08, waiting


def test_stored_over_time_says_when_the_answer_came_and_when_all_was_stored():
    picture = plots.stored_over_time([(0.1, 0), (1, 30), (2.5, 60)], received=0.05)
    assert "202 after 0.05 s" in picture.alt and "60 photos after 2.5 s" in picture.alt
    png(picture)


def test_lanes_have_a_row_for_each_thread():
    picture = plots.lanes()
    assert len(picture.axes[0].get_yticklabels()) == 4
    png(picture)


def test_answers_say_how_long_the_load_and_the_slowest_question_took():
    spans = [(0, 2.0), (0.1, 0.11), (0.2, 2.05)]
    picture = plots.answers_during_a_load(spans)
    assert "after 2.0 s; of 2 small questions the slowest waited 1.85 s" in picture.alt
    png(picture)
    both = plots.answers_by_way({"in the loop": spans, "in a thread": spans}, seconds=2)
    assert [axis.get_title(loc="left") for axis in both.axes] == ["in the loop", "in a thread"]
    assert both.alt.count("1.85 s") == 2
    png(both)


def test_letter_answers_shows_each_status_and_its_text_counts_them():
    columns = {"one": [("answered", 200), ("crashed", 500)], "two": [("refused", 422)] * 2}
    picture = plots.letter_answers(['{"text": "owl"}', "null"], columns)
    shown = [text.get_text() for text in picture.axes[0].texts]
    assert shown == ["200", "500", "422", "422"]
    assert "one: 1 answered, 0 refused, 0 nonsense, 1 crashed" in picture.alt
    assert "two: 0 answered, 2 refused" in picture.alt


def test_lines_of_code_shows_the_sum_of_each_module():
    counts = {"one": {"models": 3, "endpoints": 9}, "two": {"models": 0, "endpoints": 7}}
    picture = plots.lines_of_code(counts)
    shown = [text.get_text() for text in picture.axes[0].texts]
    assert {"12", "7", "9", "3"} <= set(shown)
    assert "0" not in shown
    assert "one: 12 (models 3, endpoints 9)" in picture.alt
    png(picture)


def test_speeds_show_each_run_and_say_the_mean():
    runs = [("A", "health", 1, 100.0), ("A", "health", 1, 300.0), ("B", "health", 1, 50.0)]
    picture = plots.speeds([*runs, ("A", "search", 1, 7.0)])
    assert [axis.get_title(loc="left") for axis in picture.axes] == ["health", "search"]
    first = picture.axes[0]
    assert sorted(bar.get_height() for bar in first.patches) == [50, 200]
    assert [list(line.get_ydata()) for line in first.lines] == [[100, 300], [50]]
    assert "health, 1 clients, A: 200" in picture.alt
    png(picture)


def test_work_per_request_stacks_server_framework_and_endpoint():
    picture = plots.work_per_request({"A": (1.0, 3.0, 7.0, 2.0)})
    widths = [bar.get_width() for bar in picture.axes[0].patches]
    assert widths == [1, 2, 0, 1, 2, 4, 1, 2, 0], "no part is below nothing"
    assert "A: search 7.00 ms, of which server 1.00" in picture.alt
    png(picture)


# ---------------------------------------------------------------------------------- chapter 11

PASSAGE = "Sheep eat grass. " * 8 + "Ducks, which cost $5 and $6, swim. " + "Cows moo. " * 9


def test_a_quotation_lights_the_sentence_over_all_its_lines_and_nothing_else():
    figure = plots.quotation(
        "What do ducks do?", PASSAGE, "Ducks, which cost $5 and $6, swim.", "a"
    )
    png(figure)
    lit = sum(patch.get_width() for patch in figure.axes[0].patches)
    assert lit == len("Ducks, which cost $5 and $6, swim.")
    assert "Ducks, which cost $5 and $6, swim." in figure.alt
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown[0] == "What do ducks do?"
    assert "".join(shown[1:-1]) == PASSAGE.rstrip() or "".join(shown[1:-1]) == PASSAGE


def test_the_letters_of_a_quotation_stand_where_its_light_is():
    figure = plots.quotation("What do ducks do?", PASSAGE, "", "a")
    figure.canvas.draw()
    line = figure.axes[0].texts[1]
    assert len(line.get_text()) > 80
    box = line.get_window_extent().transformed(figure.axes[0].transData.inverted())
    assert abs(box.width - len(line.get_text().rstrip())) <= 1.5


def test_a_sentence_that_is_not_in_the_passage_is_refused():
    with pytest.raises(WorkshopError, match="not in the passage"):
        plots.quotation("Why?", PASSAGE, "Ducks fly.", "a")


def test_scores_by_kind_say_how_many_reach_the_threshold():
    figure = plots.scores_by_kind({"ordinary": [0.5, 0.46, 0.2], "off topic": [0.1]}, 0.46)
    png(figure)
    assert "ordinary: 2 of 3 questions; off topic: 0 of 1 question" in figure.alt
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [3, 1]


# ---------------------------------------------------------------------------------- chapter 12


def test_visits_have_a_row_a_user_and_say_who_came_after_the_line():
    user = np.array([5, 5, 9, 2])
    figure = plots.visits(user, np.array([3e8, 4e8, 9e8, 6e8]), moment=5e8)
    png(figure)
    before, after, _line = figure.axes[0].lines
    assert before.get_ydata().tolist() == [0, 0]
    assert after.get_ydata().tolist() == [2, 1]
    assert "3 users" in figure.alt and "2 came after it" in figure.alt
    assert len(plots.visits(user, np.array([3e8, 4e8, 9e8, 6e8])).axes[0].lines) == 2


def test_a_long_tail_is_sorted_and_says_the_share_of_its_head():
    figure = plots.long_tail(np.array([0, 7, 1, 2]))
    png(figure)
    assert "4 films" in figure.alt and "from 7 down to 0" in figure.alt
    assert "have 100% of all likes" in figure.alt
    with pytest.raises(WorkshopError, match="at least one like"):
        plots.long_tail(np.zeros(3, int))


def test_reasons_are_stacked_and_what_is_below_zero_goes_left():
    figure = plots.reasons(["A", LONG], ["x", "y", "z"], np.array([[1, 2, 3], [1, -2, 4.0]]))
    png(figure)
    bars = [[(b.get_x(), b.get_width()) for b in group] for group in figure.axes[0].containers]
    assert bars == [[(0, 1), (0, 1)], [(1, 2), (0, -2)], [(3, 3), (1, 4)]]
    (score,) = figure.axes[0].lines
    assert score.get_xdata().tolist() == [6, 3]
    written = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert written == ["A", LONG.strip()]
    assert "A (6.00, most of it from z)" in figure.alt
    with pytest.raises(WorkshopError, match=r"expected \(1, 2\)"):
        plots.reasons(["A"], ["x", "y"], np.zeros((2, 1)))


# ---------------------------------------------------------------------------------- chapter 20


def test_an_attention_map_has_a_square_for_each_head_and_says_where_the_last_token_looks():
    tokens = ["The", " $5", " duck"]
    shares = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.1, 0.7, 0.2]])
    picture = plots.attention_map({"head 1": shares, "head 2": np.eye(3)}, tokens)
    png(picture)
    assert [axis.get_title(loc="left") for axis in picture.axes] == ["head 1", "head 2"]
    assert [t.get_text() for t in picture.axes[0].get_yticklabels()] == tokens
    assert "head 1: the last token, ' duck', looks most at ' $5' (0.70)" in picture.alt


def test_an_attention_map_refuses_squares_of_another_size():
    with pytest.raises(WorkshopError, match="there are 2 tokens"):
        plots.attention_map({"a": np.eye(3)}, ["one", "two"])


# ------------------------------------------------------------------------------ chapter 10


def test_texts_are_shown_with_the_words_of_the_query_lit():
    picture = plots.lit_texts(
        "read images", {"first": "Reading an image.", "second": "Nothing of it " * 30}
    )
    assert png(picture)
    assert "first: Reading, image. second: no word" in picture.alt
    (axis,) = picture.axes
    lit = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert [(patch.get_x(), patch.get_width()) for patch in lit] == [(0, 7), (11, 5)]
    assert any(text.get_text().endswith("…") for text in axis.texts)


def test_scores_are_the_means_of_each_slice():
    picture = plots.score_by_slice({"words": [1, 0, 0.5], "vectors": [0, 0, 1]}, ["a", "a", "b"])
    assert png(picture)
    assert "a: words 0.50, vectors 0.00; b: words 0.50, vectors 1.00" in picture.alt
    lines = picture.axes[0].get_lines()
    assert [list(line.get_xdata()) for line in lines] == [[0.5, 0.5], [0, 1]]


def test_intervals_that_hold_0_are_grey():
    sure, unsure = Interval(0.2, 0.1, 0.3), Interval(0.1, -0.1, 0.3)
    picture = plots.intervals({"one": sure, "other": unsure}, "difference")
    assert png(picture)
    assert "one +0.20 [+0.10, +0.30]; other +0.10 [-0.10, +0.30], which holds 0" in picture.alt
    colours = [line.get_color() for line in picture.axes[0].get_lines()]
    assert colours[0] == plots.COLOURS[0] != colours[2]


def test_of_each_token_the_most_similar_one_is_framed():
    similarities = np.array([[0.1, 0.9, 0.2], [0.4, 0.3, 0.0]])
    picture = plots.token_similarities(["small", "dog"], ["a", "tiny", "cat"], similarities)
    assert png(picture)
    assert "small – tiny 0.9; dog – a 0.4" in picture.alt
    frames = [patch.get_xy() for patch in picture.axes[0].patches]
    assert frames == [(0.5, -0.5), (-0.5, 0.5)]


def test_shots_have_boxes_around_things_and_faces():
    shots = films.shots("film_09.mp4")
    figure = plots.shot_sheet(shots)
    png(figure)
    assert figure.alt.count(" s: ") == len(shots)
    assert "0.0 to 1.2 s: person, 1 face" in figure.alt
    axis = figure.axes[0]
    boxes = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 2  # a person and a face
    named = plots.shot_sheet(shots[:2], names=["first", "second"])
    assert [axis.get_title(loc="left") for axis in named.axes] == ["first", "second"]
    with pytest.raises(WorkshopError, match="at least one shot"):
        plots.shot_sheet([])


def test_boxes_are_drawn_where_they_are():
    thing = objects.Thing("dog", 0.9, (10, 20, 60, 80))
    picture = Image.new("RGB", (100, 100))
    figure = plots.boxes({"one": (picture, [thing]), "none": (picture, [])})
    png(figure)
    (box,) = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (10, 20, 50, 60)
    assert "one: 1 (dog); none: 0 (none)" in figure.alt


def test_hits_among_shots_are_shown_with_their_cosine():
    entity = {"film": "film_09.mp4", "number": 2}
    figure = plots.shot_hits([{"entity": entity, "distance": 0.4123}])
    png(figure)
    assert "shot 2 of film_09.mp4 (0.41)" in figure.alt
    assert "0.41" in texts(figure)
    assert len(figure.axes[0].images) == 1


def test_cut_curves_show_the_borders_and_say_how_high_each_line_is_there():
    times = [0.0, 0.5, 1.0, 1.5]
    figure = plots.cut_curves(times, {"a": [0, 0.1, 0.7, 0.2]}, {1.1: "cut"}, threshold=0.25)
    png(figure)
    assert "cut at 1.1 s: a 0.70" in figure.alt
    assert "cut" in texts(figure)
    assert figure.axes[0].get_xlabel() == "seconds"


def test_pairs_of_faces_are_counted_at_the_threshold():
    figure = plots.pair_histogram(np.array([0.01, 0.02, 0.09]), np.linspace(0.05, 0.2, 40), 0.06)
    png(figure)
    assert "33.3% of the same" in figure.alt
    assert "3 pairs" in figure.axes[0].get_legend().get_texts()[0].get_text()
    assert "A line" not in plots.pair_histogram(np.array([0.1]), np.array([0.2])).alt


def test_splits_in_which_nothing_is_missed_are_counted():
    assert (
        "3 splits: in 2 nothing is missed. In the others 50.0%"
        in plots.split_histogram([0, 0, 0.5]).alt
    )
    assert "others" not in plots.split_histogram([0]).alt


# ------------------------------------------------------------------------------ chapter 15


def test_molecules_are_drawn_with_what_they_share():
    aspirin, salicylic = (
        molecules.read(smiles) for smiles in ("CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1O")
    )
    plain = plots.molecule(aspirin, "aspirin")
    assert plain.alt == "A drawing of aspirin, which has 13 atoms."
    assert texts(plain) == ["aspirin"]
    wider = plots.surroundings(aspirin, atom=1)
    assert texts(wider) == ["0 bonds", "1 bond", "2 bonds"]
    assert "0 bonds: 1 atom, 1 bond: 4 atoms, 2 bonds: 5 atoms" in wider.alt
    found = plots.similar_molecules(aspirin, [salicylic], [0.448], ["salicylic acid"])
    assert "salicylic acid (Tanimoto 0.45, 90% of its atoms are orange)" in found.alt
    for figure in (plain, wider, found):
        assert len(png(figure)) < 150_000


def test_similar_drugs_are_the_most_similar_ones():
    some = drugs.drugs()[::10]
    name = next(drug.name for drug in some if drug.name)
    figure = plots.similar_drugs(some, name, k=2)
    bits = molecules.morgan(drug.mol for drug in some)
    row = [drug.name for drug in some].index(name)
    best = np.sort(molecules.tanimoto(bits[row], bits))[::-1][1:3]
    assert all(f"(Tanimoto {score:.2f}" in figure.alt for score in best)
    assert texts(figure)[0] == "query"
    with pytest.raises(WorkshopError, match="No drug is called 'water'"):
        plots.similar_drugs(some, "water")


def test_random_pairs_say_where_95_percent_lie():
    values = np.linspace(0, 0.4, 1001)
    figure = plots.random_pairs({"Morgan": values, "MACCS": values + 0.5})
    assert "Morgan has its middle at 0.20, 95 % below 0.38" in figure.alt
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert lines == pytest.approx([0.38, 0.88])
    png(figure)


def test_worth_by_similarity_shows_each_range_with_its_count():
    values = {
        "Morgan": [(-0.1, -0.2, 0.1), (0.8, 0.7, 0.9)],
        "numbers": [(0.2, 0.1, 0.3), (0.3, 0.3, 0.4)],
    }
    figure = plots.by_similarity(["low", "high"], values, [1200, 7])
    assert "Morgan: low -0.10 (-0.20 to 0.10), high 0.80 (0.70 to 0.90); numbers" in figure.alt
    axis = figure.axes[0]
    assert [t.get_text() for t in axis.get_xticklabels()] == ["low\n1,200", "high\n7"]
    assert axis.get_ylim()[0] == pytest.approx(-0.2)
    png(figure)


def test_aligned_sequences_stand_on_a_colour_where_they_differ():
    alignment = dna.Alignment("ACGT-A", "ACTTGA", 0, 5, False, 4 / 6)
    figure = plots.aligned(alignment, ["one", "other"], columns=4)
    png(figure)
    assert len(figure.axes[0].patches) == 4, "two columns that differ, two letters each"
    assert "one above other, in 2 lines. 2 columns differ" in figure.alt and "67%" in figure.alt


def test_bars_have_the_largest_at_the_top_with_its_number():
    figure = plots.bars(["a", "b", "c"], [2, 9, 5], "genes")
    png(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [2, 5, 9]
    assert figure.alt == "Bars of genes: b 9, c 5, a 2."


def test_scores_by_test_draw_a_line_a_method():
    figure = plots.scores_by_test(
        {"x": {"easy": 0.9, "hard": 0.4}, "y": {"easy": 0.8, "hard": 0.7}}
    )
    png(figure)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.9, 0.4], [0.8, 0.7]]
    assert "x easy 0.90, hard 0.40; y easy 0.80" in figure.alt


def two_tones() -> np.ndarray:
    """One second of 500 Hz, then one of 1,500 Hz."""
    time = np.arange(16_000) / 16_000
    return np.concatenate([np.sin(2 * np.pi * hertz * time) for hertz in (500, 1500)])


def test_a_wave_says_between_what_its_samples_lie():
    figure = plots.waveform(two_tones(), seconds=0.01)
    png(figure)
    assert len(figure.axes[0].lines[0].get_xdata()) == 160
    assert "160 samples over 0.01 seconds, between -1.00 and 1.00" in figure.alt
    with pytest.raises(WorkshopError, match="at least one sample"):
        plots.waveform(np.zeros(0))


def test_a_spectrogram_is_darkest_where_the_tone_is_and_carries_its_peaks():
    figure = plots.sound_picture(two_tones(), np.array([[10, 32], [90, 96]]), top=2000)
    png(figure)
    shown = figure.axes[0].images[0].get_array()
    assert shown[:, 20].argmax() == 32  # 500 Hz, columns of 15.6 Hz
    assert shown[:, 100].argmax() == 96
    points = figure.axes[0].collections[0].get_offsets()
    assert points.tolist() == [[0.16, 500], [1.44, 1500]]
    assert "2.0 seconds, frequencies up to 2000 Hz, with 2 peaks" in figure.alt


def test_matching_peaks_are_told_from_the_query_s_own():
    recording = np.concatenate([0.01 * RANDOM.normal(size=32_000), two_tones()])
    figure = plots.matching_peaks(two_tones(), recording, shift=125)
    png(figure)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    shared, own = (len(drawn.get_offsets()) for drawn in figure.axes[0].collections)
    assert shared >= 2
    kept = f"{shared} of its {shared + own} peaks are in the recording"
    assert titles == [f"query: {kept}", "recording"]
    assert f"{kept}, as orange circles; those of one alone are blue crosses" in figure.alt
    begin, end = figure.axes[0].get_xlim()
    assert begin < 2 < 4 < end


def test_votes_stand_at_their_shifts():
    figure = plots.votes_by_shift({"right": [125, 125, 125, 7], "none": []})
    png(figure)
    assert "right: 4 votes, at most 3 at one shift. none: 0 votes, at most 0" in figure.alt
    with pytest.raises(WorkshopError, match="at least one recording"):
        plots.votes_by_shift({})


def test_what_was_recognised_has_a_panel_a_noise_and_a_line_a_length():
    cells = [
        {
            "noise": noise,
            "decibels": level,
            "seconds": seconds,
            "top1": 0.1 * seconds,
            "accepted": 0.05 * seconds,
        }
        for noise, level in (("white", None), ("white", 0), ("mix", 0))
        for seconds in (1, 5)
    ]
    cells[-1] |= {"top1": 0.35, "accepted": 0.15}
    figure = plots.recognised(cells)
    png(figure)
    drawn = [list(line.get_ydata()) for line in figure.axes[1].lines if len(line.get_ydata())]
    assert drawn == [[0.1, 0.1], [0.05, 0.05], [0.5, 0.35], [0.25, 0.15]]
    assert [line.get_linestyle() for line in figure.axes[1].lines] == ["-", "--", "-", "--", "--"]
    assert "white, 5 s: first 0.50 to 0.50, accepted 0.25 to 0.25; mix, 1 s: first" in figure.alt
    assert "mix, 5 s: first 0.50 to 0.35, accepted 0.25 to 0.15" in figure.alt
    with pytest.raises(WorkshopError, match="needs the cells"):
        plots.recognised([])
