"""Settings of the site: `make docs` builds it into `docs/_build/html`."""

import rrjax

project = "rrjax"
author = "The rrjax maintainers"
release = version = rrjax.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "conf.py"]

html_theme = "furo"
html_title = f"rrjax {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_sourcelink = False

# Tutorials are Python scripts with cells. Every build runs them, each in an empty folder.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

myst_heading_anchors = 3

# Docstrings name code in single backticks, and their signatures are long.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_use_rtype = False


def escape_bars(app, what, name, obj, options, lines):
    """Escapes the bars of absolute values in docstrings, which would be substitutions."""
    lines[:] = [
        line if line.lstrip().startswith((">>>", "...")) else line.replace("|", r"\|")
        for line in lines
    ]


def setup(app):
    app.connect("autodoc-process-docstring", escape_bars)
