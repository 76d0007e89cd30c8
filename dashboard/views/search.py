"""The start page: a query, its results, and sliders that steer it."""

from dashboard import frame

frame.header("Search", "Push a concept up or down; see what moves.")
