"""What MkDocs calls while it builds the documentation site.

The pages are written for GitHub. For the site, links to files outside of docs/ become links to the repository, code
fences lose the words after their language, which are for tests, and a Korean page also has the anchors of the English
one: pages that are not translated link to them.
"""

import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CODE_SPAN = re.compile(r"(`[^`\n]+`)")
_FENCE = re.compile(r" *```")
_HEADING = re.compile(r"#{2,6} +(.+?) *#*$")
_LINK = re.compile(r"(\]\(\s*<?|^\[[^]]+\]: +)(?![a-z][a-z+.-]*:|[/#])([^)\s>#]+)")
KOREAN_INTRODUCTIONS = {
    "settings.md": "`stacks/`의 모든 설정 항목과 허용되는 값, 기본값, 값을 바꿨을 때 일어나는 일을 정리한 표입니다. "
    "코드에서 생성하므로 영어로만 제공합니다.",
    "commands.md": "make 타깃과 명령, 그 매개변수를 모두 정리한 표입니다. `make help`와 `--help`의 글에서 "
    "생성하므로 영어로만 제공합니다.",
    "changes.md": "설정을 바꿨을 때 Terraform이 계획하는 변경과 가드의 판정을 정리한 표입니다. 실제로 계획을 "
    "실행해 생성하므로 영어로만 제공합니다.",
    "compatibility.md": "Python, Node, Terraform, OpenTofu, CDK Terrain, Helm의 어느 버전에서 실행해 보았는지 정리한 "
    "표입니다. 실행 결과에서 생성하므로 영어로만 제공합니다.",
}
"""Of the generated pages, which stay English."""
_NOT_TRANSLATED = "이 페이지는 아직 번역되지 않았습니다."
_MERMAID = "assets/mermaid.min.js"
"""`make docs` takes it from the npm package: the theme would load it from a CDN."""


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Change what is written for GitHub and for tests."""
    english = []
    path = Path(page.file.abs_src_path)
    if path.name.endswith(".ko.md"):
        source = path.with_name(path.name.removesuffix(".ko.md") + ".md")
        english = headings(source.read_text(encoding="utf-8"))
    elif config["theme"]["language"] == "ko":
        introduction = KOREAN_INTRODUCTIONS.get(page.file.src_uri, _NOT_TRANSLATED)
        markdown = re.sub(r"^# .+$", rf"\g<0>\n\n> {introduction}", markdown, count=1, flags=re.MULTILINE)
    return for_the_site(markdown, page.file.src_uri, config["repo_url"], english)


def headings(markdown: str) -> list[str]:
    """The headings of a page below its title."""
    return [match[1] for line, code in _lines(markdown) if not code and (match := _HEADING.match(line))]


def for_the_site(markdown: str, page: str, repository: str, english: list[str]) -> str:
    """The text of a page, whose path is below docs/, with the anchors of the English headings."""

    def outside(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match[2]))
        inside = target == "docs" or target.startswith("docs/")
        return match[0] if inside else f"{match[1]}{repository}/blob/main/{target}"

    lines = []
    others = iter(english)
    for line, code in _lines(markdown):
        if code:
            lines.append(re.sub(r"^( *```[a-z]+) .+$", r"\1", line))
            continue
        if _HEADING.match(line) and (heading := next(others, None)):
            lines += [f'<a id="{anchor(heading)}"></a>', ""]
        parts = _CODE_SPAN.split(line)
        lines.append("".join(part if index % 2 else _LINK.sub(outside, part) for index, part in enumerate(parts)))
    return "\n".join(lines)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Load Mermaid on the pages with diagrams only: it is large."""
    if 'class="mermaid"' not in output:
        return output
    prefix = "../" * page.url.count("/")
    return output.replace("</head>", f'<script src="{prefix}{_MERMAID}"></script></head>', 1)


def on_post_build(config: Any, **_: Any) -> None:
    """Add Mermaid to the site."""
    shutil.copy(".mkdocs/mermaid.min.js", Path(config["site_dir"], _MERMAID))


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is code."""
    code = False
    for line in markdown.splitlines():
        fence = bool(_FENCE.match(line))
        yield line, code or fence
        code ^= fence


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
