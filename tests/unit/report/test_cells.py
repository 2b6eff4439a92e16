"""Cells that say of which column they are."""

from __future__ import annotations

from auror.report.pages import labelled


def test_every_cell_has_the_name_of_its_column() -> None:
    page = (
        "<p>td</p><table>\n<tr><th>a</th><th class='n'>b <i>c</i> \"</th></tr>"
        "<tr class='x'><td>1</td><td class='n'>2</td></tr><tr><td>3</td></tr></table>"
        "<table><tr><th>z</th></tr><tr><td>4</td></tr></table>"
    )
    assert labelled(page).count("data-label") == 4
    assert '<td data-label="a">1</td><td data-label="b c &quot;" class=' in labelled(page)
    assert '<td data-label="a">3</td>' in labelled(page)
    assert '<td data-label="z">4</td>' in labelled(page)
