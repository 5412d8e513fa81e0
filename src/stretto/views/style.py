"""How a page looks: the colours around it are those of the notebook, and its own can be seen on light and dark."""

COLOURS = {"done": "#2a9461", "running": "#3f83d6", "doubt": "#b9770e", "failed": "#d4453a"}
"""By what they stand for."""

STYLE = f"""
.stretto{{font:13px/1.45 system-ui,sans-serif;color:inherit;max-width:72em;unicode-bidi:isolate}}
.stretto table{{border-collapse:collapse;width:100%;margin:.6em 0;font-size:inherit}}
.stretto th,.stretto td{{text-align:left;vertical-align:top;padding:.2em .6em .2em 0;border:0;
background:none;color:inherit;white-space:normal;overflow-wrap:anywhere;unicode-bidi:isolate}}
.stretto thead th{{border-bottom:1px solid;font-weight:600}}
.stretto .n{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}
.stretto .w{{white-space:nowrap;overflow-wrap:normal}}
.stretto .m{{opacity:.7}}
.stretto .t{{width:24%;min-width:8em}}
.stretto .t div{{display:flex;justify-content:space-between;font-weight:400}}
.stretto svg{{display:block;width:100%;height:1.1em}}
.stretto rect{{fill:{COLOURS["done"]};fill-opacity:.85}}
.stretto rect.running{{fill:{COLOURS["running"]}}}
.stretto rect.failed{{fill:{COLOURS["failed"]}}}
.stretto path{{stroke:{COLOURS["doubt"]};stroke-width:2px;vector-effect:non-scaling-stroke}}
.stretto .done{{color:{COLOURS["done"]}}}
.stretto .running{{color:{COLOURS["running"]}}}
.stretto .doubt{{color:{COLOURS["doubt"]}}}
.stretto .failed{{color:{COLOURS["failed"]}}}
.stretto pre{{white-space:pre-wrap;overflow-wrap:anywhere;margin:.4em 0;padding:0;background:none;color:inherit;
border:0;font-size:12px}}
.stretto .a{{border-left:3px solid {COLOURS["done"]};padding-left:1em;margin-top:.6em;overflow-x:auto}}
.stretto summary{{cursor:pointer}}
""".replace("\n", "")
"""Of every page, which is in an element of the class `stretto`."""
