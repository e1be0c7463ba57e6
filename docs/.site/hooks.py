"""Links from docs/ to other files of the repository lead to where the repository is."""

import posixpath
import re
from pathlib import Path

LINK = re.compile(r"\]\(((?:\.\./)+)([^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown, page, config, **_):
    folder = posixpath.dirname(page.file.src_uri)

    def elsewhere(link):
        path = posixpath.normpath(posixpath.join("docs", folder, link[1] + link[2]))
        if path.startswith("docs/"):
            return link[0]
        if not (Path(config.config_file_path).parent / path).exists():
            raise SystemExit(f"docs/{page.file.src_uri}: there is no {path}")
        return f"]({config.repo_url}/blob/main/{path}{link[3] or ''})"

    return LINK.sub(elsewhere, markdown)
