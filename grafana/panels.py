"""Panels that the dashboards are made of, in one manner."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as dashboard_models
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, AMBER, RED = "green", "orange", "red"


def board(
    title: str,
    uid: str,
    description: str,
    hosts: dashboard.QueryVariable,
    rows: Sequence[tuple[str, Sequence[Any]]],
) -> dashboard.Dashboard:
    """A dashboard of rows of panels; ``build()`` of it is what Grafana's provisioning reads."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["steward"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .readonly()
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(hosts)
    )
    ids = itertools.count(1)
    for name, panels in rows:
        made = made.with_row(dashboard.Row(name).id(next(ids)))
        for panel in panels:
            made = made.with_panel(panel.id(next(ids)))
    return made


def host_variable() -> dashboard.QueryVariable:
    """Which host, by its label ``host``."""
    return (
        dashboard.QueryVariable("host")
        .label("Host")
        .datasource(SOURCE)
        .query('label_values(up{job="steward-agent"}, host)')
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_models.VariableSort.ALPHABETICAL_ASC)
    )


def query(expression: str, legend: str = "") -> prometheus.Dataquery:
    """A query of Prometheus."""
    asked = prometheus.Dataquery().expr(expression).datasource(SOURCE)
    return asked.legend_format(legend) if legend else asked


def steps(*given: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Colours from values on."""
    thresholds = [Threshold(value=value, color=colour) for value, colour in given]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds)


def number(
    title: str, expression: str, *, unit: str, steps: dashboard.ThresholdsConfig, why: str, span: int = 4
) -> stat.Panel:
    """One number, coloured by its steps."""
    return (
        stat.Panel()
        .title(title)
        .description(why)
        .datasource(SOURCE)
        .with_target(query(expression).instant().ref_id("A"))
        .unit(unit)
        .thresholds(steps)
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .span(span)
        .height(4)
    )


def graph(
    title: str, queries: Sequence[tuple[str, str]], *, unit: str, why: str, span: int = 8
) -> timeseries.Panel:
    """Lines over time; `queries` are pairs of expression and legend, four at most."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(why)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .line_width(1)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .span(span)
        .height(8)
    )
    for letter, (expression, legend) in zip("ABCD", queries, strict=False):
        panel = panel.with_target(query(expression, legend).ref_id(letter))
    return panel
