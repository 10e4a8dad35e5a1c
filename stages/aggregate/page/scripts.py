"""The scripts of the page: the bundle that draws its charts, and its own, as one each."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import vl_convert

OWN = ("data", "charts", "draw", "images", "tables", "reach", "page")
"""Files in `js/`, in the order in which they stand in the page; the last begins."""


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which may stand in HTML."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def own_script() -> str:
    """What the page does, as one script."""
    folder = Path(__file__).parent / "js"
    return "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in OWN)


def script_hash(script: str) -> str:
    """Name a script in a content security policy, by what stands in it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
