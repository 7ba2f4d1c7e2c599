"""document.py -- where the tables and the chart of a comparison go."""
import json
import os

import chart
import figures

TITLE = "Three servers and the load on one machine, every write synced, 100-byte values"
DOC_BEGIN, DOC_END = "<!-- compare.sh: begin -->", "<!-- compare.sh: end -->"


def tables(data, show):
    results = data["results"]
    parts = [("The comparison", figures.comparison(results)),
             ("What must be reached", figures.judgement(results, data["machine"]["cores"]))]
    if data["limits"]:
        parts.append(("What the machine can do", figures.limits(results, data["limits"])))
    parts.append(("CPU microseconds of an operation", figures.costs(results)))
    return "\n".join("%s:\n\n%s" % (title, show(lines))
                     for title, lines in parts if len(lines) > 1)


def replace_between(text, begin, end, content):
    """What stands between the lines `begin` and `end`; both stay."""
    before, rest = text.split(begin + "\n", 1)
    return before + begin + "\n" + content + end + rest.split(end, 1)[1]


def write_doc(path, data):
    """Puts the tables into a document, where it says so; the chart and the figures that
    both are made from stand beside it."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    content = tables(data, figures.markdown)
    with open(path, "w", encoding="utf-8") as file:
        file.write(replace_between(text, DOC_BEGIN, DOC_END, content))
    base = os.path.splitext(path)[0]
    with open(base + ".svg", "w", encoding="utf-8") as file:
        file.write(chart.draw(data["results"], TITLE))
    with open(base + ".json", "w", encoding="utf-8") as file:
        file.write(kept(data))


def kept(data):
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def write(folder, data):
    os.makedirs(folder, exist_ok=True)
    for name, content in (("results.json", kept(data)),
                          ("table.md", tables(data, figures.markdown)),
                          ("chart.svg", chart.draw(data["results"], TITLE))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
