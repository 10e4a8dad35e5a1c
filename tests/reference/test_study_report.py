"""The study's report: of these tables, the one by kind first, and short enough for two minutes."""

import re

from docs.study import kinds, report


def test_the_report_is_written_by_its_script():
    assert report.PAGE.read_text(encoding="utf-8") == report.page()


def test_a_table_by_kind_comes_first_and_little_is_to_read():
    page = report.page()
    tables = re.findall("<table>.*?</table>", page, flags=re.S)
    assert [row.split("</td>")[0] for row in tables[0].split("<td>")[1:]][:1] == [next(iter(kinds.KINDS))]
    assert page.index("<table>") < page.index("<svg") < page.index("<details>")
    shown = re.sub("<(style|table|svg|details).*?</\\1>", "", page, flags=re.S)
    assert len(re.sub("<[^>]*>", "", shown).split()) < 300
    assert not re.search(r"(src|href)=", page)
