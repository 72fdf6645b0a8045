"""The page: one HTML file with its style, its scripts and all numbers; it asks nobody for anything.

The parts lie in web/. The numbers stand in the page as JSON, in a <script> that is not run. There,
only `<` could end the script or begin another: written as \\u003c it is the same JSON, and no HTML.
What the scripts show they put in as text, never as HTML, and the page's own policy (its
Content-Security-Policy) forbids every request.
"""

import html
from importlib.resources import files

SCRIPTS = ("core.js", "words.js", "heads.js", "answer.js", "story.js")


def part(name: str) -> str:
    """A file of web/."""
    return files("numpygpt.inside.show").joinpath("web", name).read_text(encoding="utf-8")


def escaped(json: str) -> str:
    """JSON that can stand in a <script>: the same values, and nothing that HTML would read."""
    return json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def page(json: str) -> str:
    """The whole page for a Look's JSON."""
    before, rest = part("page.html").split("@@DATA@@")
    scripts = "\n".join(map(part, SCRIPTS))
    before = before.replace("@@STYLE@@", part("page.css"))
    return before + escaped(json) + rest.replace("@@SCRIPT@@", scripts)


def framed(page: str) -> str:
    """The page as a notebook shows it: in a frame of its own, which may run its scripts only."""
    source = html.escape(page, quote=True)
    style = "width:100%;height:48rem;border:0"
    return f'<iframe srcdoc="{source}" sandbox="allow-scripts" style="{style}"></iframe>'
