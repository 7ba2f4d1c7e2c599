"""chart.py -- the results as an SVG. Each row has a bar for each system, drawn to the row's
own scale and labelled with its figure, so that rows of different units stand side by side.
No I/O."""
from xml.sax.saxutils import escape

from figures import figure, rows_of, show, variants_of

COLOURS = {"tidelock": "#1f6feb", "tidelock, by clients": "#8fb8f5", "zookeeper": "#c9822b",
           "etcd": "#8a8f98"}
WIDTH, LEFT, BAR_MAX = 860, 330, 400
BAR, GAP, ROW_GAP, TOP = 13, 3, 14, 76


def text(x, y, content, size=12, weight="normal", anchor="start", fill="#24292f"):
    return ('<text x="%g" y="%g" font-size="%d" font-weight="%s" text-anchor="%s" '
            'fill="%s">%s</text>' % (x, y, size, weight, anchor, fill, escape(content)))


def bar(x, y, width, colour):
    return '<rect x="%g" y="%g" width="%.1f" height="%d" rx="2" fill="%s"/>' % (
        x, y, max(width, 1.5), BAR, colour)


def legend(variants):
    parts, x = [], 24
    for variant in variants:
        parts += [bar(x, 44, BAR, COLOURS[variant]), text(x + BAR + 6, 55, variant)]
        x += 34 + 7.2 * len(variant)
    return parts


def row_parts(results, row, y):
    """The drawing of one row and where the next begins."""
    values = [(v, figure(results, row, v, row.figure)) for v in COLOURS]
    values = [(v, x) for v, x in values if x]
    if not values:
        return [], y
    most = max(x for _, x in values)
    sense = "more is better" if row.more_is_better else "less is better"
    parts = [text(24, y + BAR - 2, row.title, weight="bold"),
             text(24, y + 2 * BAR + GAP, sense, size=10, fill="#6e7781")]
    for variant, x in values:
        width = BAR_MAX * x / most
        parts += [bar(LEFT, y, width, COLOURS[variant]),
                  text(LEFT + width + 6, y + BAR - 2, show(row.figure, x))]
        y += BAR + GAP
    return parts, y + max(ROW_GAP, ROW_GAP + (2 - len(values)) * (BAR + GAP))


def draw(results, title):
    parts = [text(24, 28, title, size=16, weight="bold")] + legend(variants_of(results))
    y = TOP
    for row in rows_of(results):
        more, y = row_parts(results, row, y)
        parts += more
    height = y + 10
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'viewBox="0 0 %d %d" font-family="sans-serif">\n'
            '<rect width="100%%" height="100%%" fill="#ffffff"/>\n%s\n</svg>\n' % (
                WIDTH, height, WIDTH, height, "\n".join(parts)))
