"""Build the site: README, the pages of docs/, the library's reference and the notebooks, by zensical.

Copies the pages into .cache/site/pages, with links that hold there, and runs `zensical build --strict`. The navigation
is the table in docs/README.md: a bold row begins a section, and the links of the rows below are its pages.

    python -m docs.tools.site      # writes .cache/site/html; needs the extra `site`
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from os.path import normpath, relpath
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / ".cache" / "site"
CONFIG = Path(__file__).with_name("zensical.toml")
INDEX = "docs/README.md"

PROJECT = ("CONTRIBUTING.md", "docs/release.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
"""Pages of the last section."""

API = "api.md"
LIBRARY = "stages/library/__init__.py"
COPIED = (".png", ".svg", ".html")
LINK = re.compile(r"(?s:```.*?```)|`[^`]+`|(!?)\[([^\]]*)\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
SOURCE = re.compile(r'(\bsrc(?:set)?=")(?!https?:|data:)([^"]+)"')

Nav = list[tuple[str, list[str]]]


def main() -> None:
    """Write the pages and build."""
    shutil.rmtree(OUT, ignore_errors=True)
    sections = read_nav(ROOT)
    address = read_address(ROOT)
    for page in [page for _, pages in sections for page in pages]:
        if page.endswith(".ipynb"):
            write_notebook(ROOT, OUT / "pages", page)
        else:
            write_page(ROOT, OUT / "pages", page, sections, address)
    write_api(ROOT, OUT / "pages" / API)
    write_config(OUT / CONFIG.name, sections, address)
    zensical = Path(sys.executable).with_name("zensical")
    subprocess.run([zensical, "build", "--strict", "-f", OUT / CONFIG.name], check=True, cwd=OUT)
    print(f"wrote {OUT / 'html' / 'index.html'}")


def read_nav(root: Path) -> Nav:
    """Return the sections and their pages, as paths from the root: README, those of the index, and the project's.

    Pages of docs/ that the index has no link to come last among the notes.
    """
    sections: Nav = [("Home", ["README.md", INDEX])]
    for row in re.findall(r"^\|.*", (root / INDEX).read_text(encoding="utf-8"), flags=re.M):
        links = re.findall(r"\]\(([\w./-]+\.(?:md|ipynb))[#)]", row)
        if heading := re.match(r"\| \*\*(.+?)\*\* \|", row):
            sections.append((heading[1], []))
        sections[-1][1].extend(f"docs/{link}" for link in links if f"docs/{link}" not in PROJECT)
    named = {page for _, pages in sections for page in pages}
    others = sorted({f"docs/{path.name}" for path in (root / "docs").glob("*.md")} - named - set(PROJECT))
    if sections[-1][0] != "Notes":
        sections.append(("Notes", []))
    sections[-1][1].extend(others)
    sections.append(("Project", [page for page in PROJECT if (root / page).is_file()]))
    return [(title, pages) for title, pages in sections if pages]


def read_address(root: Path) -> str | None:
    """Return the repository's address, if pyproject.toml has one."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address: str | None = project["urls"].get("Repository")
    return address


def place(page: str) -> str:
    """Return where a page stands on the site: `docs/a/README.md` is `a/index.md`, the index is `pages.md`."""
    if page == INDEX:
        return "pages.md"
    path = page.removeprefix("docs/").removesuffix(".ipynb").removesuffix(".md") + ".md"
    return path.replace("README.md", "index.md")


def write_page(root: Path, out: Path, page: str, sections: Nav, address: str | None) -> None:
    """Copy a page with its pictures and reports; links lead to where pages stand on the site.

    A link to a file that is no page leads to the repository, and is plain text without an address.
    """
    pages = {name for _, names in sections for name in names}
    here = Path(place(page)).parent

    def target(link: str) -> str | None:
        path = normpath(Path(page).parent / link) if link else page
        folder_page = f"{path}/README.md"
        if path in pages or folder_page in pages:
            return relpath(place(path if path in pages else folder_page), here)
        if path.endswith(COPIED):
            copy = out / path.removeprefix("docs/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / path, copy)
            return relpath(path.removeprefix("docs/"), here)
        return f"{address}/blob/main/{path}" if address else None

    def link(found: re.Match[str]) -> str:
        if found[3] is None:
            return found[0]  # code
        to = target(found[3])
        return f"{found[1]}[{found[2]}]({to}{found[4] or ''})" if to else found[2]

    text = (root / page).read_text(encoding="utf-8")
    text = SOURCE.sub(lambda found: f'{found[1]}{target(found[2])}"', LINK.sub(link, text))
    path = out / place(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_notebook(root: Path, out: Path, page: str) -> None:
    """Write a notebook as Markdown with its stored results; pictures go beside it."""
    order = json.dumps(["image/png", "text/plain"])  # no HTML of libraries, which brings its own style
    command = [sys.executable, "-m", "nbconvert", root / page, "--to", "markdown", "--log-level", "ERROR"]
    command += ["--output-dir", (out / place(page)).parent, f"--NbConvertBase.display_data_priority={order}"]
    subprocess.run(command, check=True, cwd=root)


def write_api(root: Path, path: Path) -> None:
    """Write the page of the library: a line for each public name, which mkdocstrings replaces."""
    names = ["score", "Result", "Recommendation", "Chart", "embed", "UserError"]
    lines = ["# The library", "", "`import whichlayer as wl` has these names.", ""]
    path.write_text("\n".join([*lines, *(f"::: stages.library.{name}" for name in names), ""]), encoding="utf-8")


def write_config(path: Path, sections: Nav, address: str | None) -> None:
    """Write zensical.toml with the navigation; the library's page goes to the reference."""
    nav = []
    for title, pages in sections:
        entries = [place(page) for page in pages] + [API] * (title == "Reference")
        nav.append(f"{{ {json.dumps(title)} = {json.dumps(entries)} }}")
    head = f"[project]\nnav = [{', '.join(nav)}]\n" + (f"repo_url = {json.dumps(address)}\n" if address else "")
    path.write_text(CONFIG.read_text(encoding="utf-8").replace("[project]\n", head, 1), encoding="utf-8")


if __name__ == "__main__":
    main()
