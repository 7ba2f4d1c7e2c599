"""compare.py -- what tests/bench/compare.sh makes of its measurements: medians, ratios,
verdicts, tables, the chart. No server runs here."""
import os
import sys
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
sys.path.insert(0, os.path.join(HERE, "../bench/compare"))
import chart
import document
import figures
from rows import CLIENTS, ROWS
from tidelock import begin, rule, run, same

begin(60)
BY_KEY = {row.key: row for row in ROWS}
RATE, LATENCY, OUTAGE = BY_KEY["set-64x1"], BY_KEY["set-1x1"], BY_KEY["outage"]


def results(row, name, **variants):
    return {row.key: {variant: [{name: value} for value in values]
                      for variant, values in variants.items()}}


@rule
def a_figure_is_the_median_of_its_rounds():
    found = results(RATE, "ops_per_s", tidelock=[10, 90, 20])
    same(figures.figure(found, RATE, "tidelock", "ops_per_s"), 20)


@rule
def a_round_without_a_figure_does_not_count():
    found = {RATE.key: {"tidelock": [{"ops_per_s": 10}, {}, {"ops_per_s": 30}]}}
    same(figures.figure(found, RATE, "tidelock", "ops_per_s"), 20)
    same(figures.figure(found, RATE, "etcd", "ops_per_s"), None)


@rule
def a_ratio_is_taken_within_each_round():
    found = results(RATE, "ops_per_s", tidelock=[100, 10, 50], etcd=[10, 1, 10])
    same(figures.ratio(found, RATE, "etcd"), 10)


@rule
def of_a_latency_less_is_better():
    found = results(LATENCY, "p50_us", tidelock=[200], zookeeper=[800])
    same(figures.ratio(found, LATENCY, "zookeeper"), 4)


@rule
def a_ratio_to_what_was_not_measured_is_none():
    found = results(RATE, "ops_per_s", tidelock=[100], etcd=[None])
    same(figures.ratio(found, RATE, "etcd"), None)
    same(figures.ratio(found, RATE, "zookeeper"), None)


@rule
def a_bound_is_reached_or_missed():
    found = results(RATE, "ops_per_s", tidelock=[50000])
    same([v[2] for v in figures.verdicts(found, RATE)], [True])
    found = results(RATE, "ops_per_s", tidelock=[49999])
    same([v[2] for v in figures.verdicts(found, RATE)], [False])


@rule
def what_idle_cores_allow_follows_from_the_cpu_time():
    found = {RATE.key: {"tidelock": [{"server_cpu_us": 8, "client_cpu_us": 2}]}}
    same(figures.allowed_by_cpu(found, RATE, 2), 200000)
    same(figures.allowed_by_cpu({}, RATE, 2), None)


@rule
def an_outage_is_judged_by_its_median_and_by_its_worst():
    found = results(OUTAGE, "gap_ms", tidelock=[40, 50, 400])
    same([v[2] for v in figures.verdicts(found, OUTAGE)], [True, False])
    same(figures.cell(found, OUTAGE, "tidelock"), "50 ms (400)")


@rule
def a_table_has_a_line_for_each_row_and_a_column_for_each_system():
    found = results(RATE, "ops_per_s", tidelock=[1234567], zookeeper=[100])
    found[RATE.key][CLIENTS] = [{"ops_per_s": 5}]
    head, line = figures.comparison(found)
    same(len(head), len(line))
    same(head[:4], ["work", "tidelock", CLIENTS, "zookeeper"])
    assert line[1].startswith("1,234,567/s"), line
    same(line[-1], "12346x")


@rule
def markdown_and_plain_text_show_the_same_cells():
    lines = [["a", "b"], ["1", "22"]]
    same(figures.markdown(lines), "| a | b |\n|---|---|\n| 1 | 22 |\n")
    same(figures.plain(lines), "a  b\n1  22\n")


@rule
def the_share_of_a_limit_is_told():
    found = results(LATENCY, "p50_us", tidelock=[400])
    lines = figures.limits(found, [{"sync_p10_us": 100, "trip_p50_us": 50}])
    same([line[-1] for line in lines if line[0].startswith("set, 1 x 1")], ["50 %"])


@rule
def a_chart_is_well_formed_and_draws_the_longest_bar_for_the_most():
    found = results(RATE, "ops_per_s", tidelock=[1000], zookeeper=[250])
    found.update(results(OUTAGE, "gap_ms", tidelock=[30], etcd=[900]))
    document = xml.dom.minidom.parseString(chart.draw(found, "a < b & c"))
    bars = [float(bar.getAttribute("width"))
            for bar in document.getElementsByTagName("rect")
            if bar.getAttribute("rx") and bar.getAttribute("x") == str(chart.LEFT)]
    same(bars, [400.0, 100.0, round(400 * 30 / 900, 1), 400.0])


@rule
def a_document_keeps_all_that_is_not_ours():
    text = "a\n<begin>\nold\n<end>\nb\n"
    same(document.replace_between(text, "<begin>", "<end>", "new\n"),
         "a\n<begin>\nnew\n<end>\nb\n")


@rule
def a_chart_of_nothing_is_a_chart():
    xml.dom.minidom.parseString(chart.draw({}, "nothing"))


run()
