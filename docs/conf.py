"""Configuration of the documentation site; `make docs` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "generate"), str(HERE.parent / "tests")]  # the tests' samples.py has the photographs

import facesearch as fs  # noqa: E402  # Sphinx imports this file alone: the path comes first

project = "facesearch"
author = "The facesearch developers"
project_copyright = "The facesearch developers; MIT licence"
version = release = fs.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # numpydoc sections; adds the types from the annotations, which our docstrings do not repeat
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "site_extension",
]
exclude_patterns = ["generate", "_templates"]
templates_path = ["_templates"]
default_role = "py:obj"
nitpicky = False
suppress_warnings = ["toc.empty_glob"]  # how-to/index.md lists some pages by a pattern
smartquotes = False  # two hyphens begin an option of the command line
show_warning_types = True
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": "Exception,ValueError,Enum,str,tuple"}
napoleon_google_docstring = False
napoleon_use_rtype = True
napoleon_use_ivar = True

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = f"facesearch {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars: dict[str, list[str]] = {"index": [], "comparison": []}
html_theme_options = {
    "logo": {"text": f"facesearch {release}"},
    "navbar_end": ["theme-switcher", "versions"],
    "navigation_with_keys": False,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
}
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False
