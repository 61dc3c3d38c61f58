"""The site for those who only read: what Sphinx is told, and what becomes of a text on its way there.

The sources are where they are: the solved notebooks, the README, and the texts that it names. Nothing is
written for the site alone. tools/build_site.py calls this; pages ask no other machine for anything.
"""

import hashlib
import re
import sys
from base64 import b64decode
from pathlib import Path

import jupytext
import nbformat
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_parser.slugs import SLUG_PRESETS
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import owner  # noqa: E402
from chapters import GLOSSARY, SOLUTION, sources, tags  # noqa: E402

REPOSITORY = owner.repository(ROOT)
TEXTS = ("INSTRUCTORS", "app_snippets/README", "data/README", "CONTRIBUTING")
PART = re.compile(r"^\*(Part [IV]+ · \w+|Bonus)\b", re.M)
TO_GLOSSARY = re.compile(rf"(?<=\({GLOSSARY}\.ipynb#)[^)]+")
TO_SERVICE = re.compile(r'<a href="http://127\.0\.0\.1:[^>]*>(.*?)</a>', re.S)

CHAPTERS = {  # the cells of each, with the marks around solutions
    f"solutions/{source.stem}": jupytext.read(source, fmt="py:percent").cells
    for source in sources(ROOT)
}
ALTS: dict[str, str] = {}  # sha256 of a picture: what it shows

project = "From Vectors to Services"
copyright = "its authors; text CC BY 4.0, code Apache License 2.0"
root_doc = "README"
include_patterns = [
    "README.md",
    *(f"{name}.ipynb" for name in CHAPTERS),
    f"solutions/{GLOSSARY}.ipynb",
    *(f"{name}.md" for name in TEXTS),
]
exclude_patterns = [".*"]
extensions = ["myst_nb"]
nitpicky = True

nb_execution_mode = "off"  # the outputs are stored, and compared by the test run
nb_ipywidgets_js = {}  # from other machines
nb_code_prompt_show = "Show the solution"
nb_code_prompt_hide = "Hide the solution"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_heading_slug_func = "github"

html_theme = "sphinx_book_theme"
html_title = project
html_math_renderer = "mathml"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # a script would fetch each page found, and cannot from files
html_show_sphinx = False
html_theme_options = {
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search stands at the side
    "search_bar_text": "Search the course",
}
html_sidebars = {"**": ["search-button-field.html", "sbt-sidebar-nav.html"]}
html_domain_indices = html_use_index = False


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make a text of the repository one of the site, in place."""
    if (ROOT / f"{docname}.ipynb").exists():
        notebook = nbformat.reads(source[0], as_version=4)
        if docname in CHAPTERS:
            fold_solutions(notebook, CHAPTERS[docname])
            title, rest = notebook.cells[0].source.split("\n", 1)
            path = f"notebooks/{Path(docname).name}.ipynb"
            link = button(path, "Open this chapter on Binder")
            notebook.cells[0].source = f"{title}\n\n{link}\n{rest}"
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = TO_GLOSSARY.sub(lambda m: SLUG_PRESETS["github"](m[0]), cell.source)
            else:
                tidy(cell)
        source[0] = nbformat.writes(notebook)
    else:
        text = source[0].replace("(notebooks/", "(solutions/")
        source[0] = owner.LINE.sub(button(owner.FIRST, "Open the course on Binder"), text)
        if docname == root_doc:
            source[0] += contents()


def fold_solutions(notebook: NotebookNode, marked: list[NotebookNode]) -> None:
    """The code that an exercise asks for is folded; `marked` are the cells of the chapter's source."""
    for cell, original in zip(notebook.cells, marked, strict=True):
        if SOLUTION.search(original.source) or "solution" in tags(original):
            cell.metadata["tags"] = [*tags(cell), "hide-input"]


def button(path: str, words: str) -> str:
    """A link that opens a file on Binder; empty where nobody knows whose repository this is."""
    if REPOSITORY is None:
        return ""
    return f'<a class="binder" href="{owner.binder(REPOSITORY, path)}">{words}</a>'


def tidy(cell: NotebookNode) -> None:
    """Keep the words for each picture, and no link to a service that ran once."""
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            picture = hashlib.sha256(b64decode(data["image/png"])).hexdigest()
            ALTS[picture] = output.metadata.get("image/png", {}).get("alt", "")
        if "text/html" in data:
            data["text/html"] = TO_SERVICE.sub(r"\1", data["text/html"])


def describe(app: Sphinx, doctree: nodes.document) -> None:
    """Give each picture its words; myst-nb names a picture by its sha256."""
    for image in doctree.findall(nodes.image):
        image["alt"] = image.get("alt") or ALTS.get(Path(image["uri"]).stem, "")


def contents() -> str:
    """The parts of the course, for the navigation."""
    parts: dict[str, list[str]] = {}
    for name, cells in CHAPTERS.items():
        part = PART.search(cells[0].source)
        parts.setdefault(part[1] if part else "Begin", []).append(name)
    texts = [name for name in TEXTS if (ROOT / f"{name}.md").exists()]
    parts["Beside the chapters"] = [f"solutions/{GLOSSARY}", *texts]
    return "".join(
        f"\n\n```{{toctree}}\n:hidden:\n:caption: {part}\n\n" + "\n".join(names) + "\n```\n"
        for part, names in parts.items()
    )


def visit_math(writer: HTML5Translator, node: nodes.Element) -> None:
    """A formula as MathML, which a browser draws without a script."""
    block = isinstance(node, nodes.math_block)
    writer.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("source-read", read)
    app.connect("doctree-read", describe)
