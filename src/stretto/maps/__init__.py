"""The same task for each item of a list: filling in the template, the plan of that, and the rows that come out."""

from stretto.maps.items import Listing, ids_of, list_of, listed, plan_of
from stretto.maps.records import Table, json_line
from stretto.maps.rows import Ordered, RowReader, rows_of
from stretto.maps.template import filled_in

__all__ = [
    "Listing",
    "Ordered",
    "RowReader",
    "Table",
    "filled_in",
    "ids_of",
    "json_line",
    "list_of",
    "listed",
    "plan_of",
    "rows_of",
]
