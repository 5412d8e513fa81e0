"""Plans in the forms that models write instead of the one asked for: what can be read is taken."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import some, whole
from stretto import Role
from stretto.plan.form import Form, plan_schema
from stretto.plan.item import Broken, Draft
from stretto.plan.reader import PlanReader

WORKERS = {"plan": Role("sim:a", about="a plan, no work"), "code/solve": Role("sim:b", about="the solution itself")}
FIRST, SECOND = Draft("plan", "Say what comes first."), Draft("code/solve", "Write the code.", needs=("t1",))
TASKS = [
    {"id": "t1", "type": "plan", "description": "Say what comes first.", "needs": []},
    {"id": "t2", "type": "code/solve", "description": "Write the code.", "needs": ["t1"]},
]
WHOLE = {"analysis": "easy", "tasks": TASKS}
J = json.dumps(WHOLE)

# In JSON, so that each subtask is handed over as soon as it is closed.
STREAMED = {
    "as asked": J,
    "bare list": json.dumps(TASKS),
    "bare list in a fence": f"Here is the plan: ```json\n{json.dumps(TASKS, indent=2)}\n```",
    "subtasks": J.replace('"tasks"', '"subtasks"'),
    "Tasks": J.replace('"tasks"', '"Tasks"'),
    "steps": J.replace('"tasks"', '"steps"'),
    "task_list": J.replace('"tasks"', '"task_list"'),
    "plan": json.dumps({"plan": TASKS}),
    "plan.tasks": json.dumps({"plan": {"analysis": "easy", "tasks": TASKS}}),
    "Python's quotes": str(WHOLE),
    "Python's quotes and an apostrophe": str({"analysis": "it's", "tasks": TASKS}),
    "typographic quotes": J.replace('"', "”"),
    "keys without quotes": J.replace('"id"', "id").replace('"type"', "type").replace('"tasks"', "tasks"),
    "other names for fields": J.replace('"type"', '"worker"').replace('"description"', '"instruction"'),
    "more names for fields": J.replace('"type"', '"Task Type"').replace('"needs"', '"depends_on"'),
    "a tool's arguments": f'<tool_call>{{"name": "plan", "arguments": {J}}}</tool_call>',
    "null for no needs": J.replace("[]", "null"),
    "None in a list": J.replace("[]", '["None"]'),
    "N/A": J.replace("[]", '"N/A"'),
    "needs in a text": J.replace('["t1"]', '"t1"'),
    "needs as objects": J.replace('["t1"]', '[{"id": "t1"}]'),
    "needs in a list in a list": J.replace('["t1"]', '[["t1"]]'),
    "needs by another name": J.replace('["t1"]', '[{"task_id": "t1"}]'),
    "needs as keys": J.replace('["t1"]', '{"t1": true, "t9": false}'),
    "a type in a list": J.replace('"plan"', '["plan"]'),
    "a type as an object": J.replace('"plan"', '{"name": "plan"}'),
    "remarks in other languages": J.replace("}, {", "}, # next\n{").replace('"tasks": [', '"tasks": [/* all */, '),
    "phases": json.dumps({"phases": [{"name": "One", "tasks": TASKS[:1]}, {"name": "Two", "tasks": TASKS[1:]}]}),
    "lists in a list": json.dumps({"stages": [[TASKS[0]], [TASKS[1]]]}),
    "phases, each with tasks": json.dumps({"plan": {"phase_1": {"tasks": TASKS[:1]}, "phase_2": {"tasks": TASKS[1:]}}}),
    "tasks, and further tasks": json.dumps({"tasks": TASKS[:1], "optional_tasks": TASKS[1:], "notes": []}),
    "phases with tasks of their own name": json.dumps(
        {"stages": [{"stage": 1, "tasks": TASKS[:1]}, {"later_tasks": TASKS[1:]}]}
    ),
    "a list in a list": J.replace('"tasks": [', '"tasks": [['),
    "a description in pieces": J.replace('"Write the code."', '["Write the code."]'),
    "a value that is no number": J.replace('"needs": []', '"needs": [], "value": NaN'),
}  # fmt: skip
# Certain only when the reply is over.
AT_THE_END = {
    "a list for each phase": json.dumps({"analysis": "easy", "Research": TASKS[:1], "Writing": TASKS[1:]}),
    "phases by name": json.dumps({"phases": {"One": TASKS[:1], "Two": TASKS[1:]}}),
    "keys in Chinese": J.replace('"tasks"', '"任务"').replace('"type"', '"类型"').replace('"description"', '"描述"')
    .replace('"needs"', '"依赖"'),
    "keys in German": J.replace('"tasks"', '"Aufgaben"').replace('"type"', '"Typ"')
    .replace('"description"', '"Beschreibung"').replace('"needs"', '"Abhängigkeiten"'),
    "brackets of a Chinese keyboard": J.translate(str.maketrans('{}[]"', "｛｝［］＂")),  # noqa: RUF001
    "quotes of Japanese": "「".join(J.split('"')),
    "quotes of code": J.replace('"', "`"),
    "a part of a message": json.dumps([{"type": "text", "text": J}]),
    "rows": json.dumps({"tasks": [[*t.values()] for t in TASKS]}),
    "rows below their names": json.dumps([[*TASKS[0]], *([*t.values()] for t in TASKS)]),
    "columns": json.dumps({name: [t[name] for t in TASKS] for name in TASKS[0]}),
    "a table in HTML": "<table><tr><th>id</th><th>type</th><th>description</th><th>needs</th></tr>" + "".join(
        f"<tr><td>{t['id']}</td><td>{t['type']}</td><td>{t['description']}</td><td>{','.join(t['needs'])}</td></tr>\n"
        for t in TASKS
    ) + "</table>",
    "a table in a frame": "┌────┬────┐\n│ id │ type │ description │ needs │\n├────┼────┤\n" + "".join(
        f"│ {t['id']} │ {t['type']} │ {t['description']} │ {','.join(t['needs'])} │\n├────┼────┤\n" for t in TASKS
    ),
    "keyed by id": json.dumps({"tasks": {t["id"]: {k: v for k, v in t.items() if k != "id"} for t in TASKS}}),
    "keyed by id, alone": json.dumps({t["id"]: {k: v for k, v in t.items() if k != "id"} for t in TASKS}, indent=1),
    "one after the other": "\n".join(map(json.dumps, TASKS)),
    "an unknown name": json.dumps({"analysis": "easy", "my_own_list": TASKS}),
    "JSON in a text": json.dumps(J),
    "JSON in a text in JSON": json.dumps({"name": "plan", "arguments": J}),
    "XML": "<tasks>" + "".join(
        f"<task><id>{t['id']}</id><type>{t['type']}</type><description>{t['description']}</description>"
        f"<needs>{','.join(t['needs'])}</needs></task>\n" for t in TASKS
    ) + "</tasks>",
    "JSON with every quote escaped": J.replace('"', '\\"'),
    "entries that are JSON in a text": json.dumps({"tasks": [json.dumps(t) for t in TASKS]}),
    "by worker, below a name": json.dumps({"tasks": {t["type"]: {**t, "type": ""} for t in TASKS}}),
    "a call in a list": "[TOOL_CALLS] " + json.dumps([{"name": "plan_it", "arguments": WHOLE}]),
    "a call whose arguments are a text": json.dumps([{"type": "function", "function": {"name": "x", "arguments": J}}]),
    "with HTML's quotes": J.replace('"', "&quot;"),
    "a table": "| ID | Type | Description | Needs |\n|---|:--|---|---|\n" + "".join(
        f"| {t['id']} | `{t['type']}` | {t['description']} | {', '.join(t['needs'])} |\n" for t in TASKS
    ),
    "XML, verbatim": "<tasks>" + "".join(
        f"<task><id>{t['id']}</id><type>{t['type']}</type><description><![CDATA[{t['description']}]]></description>"
        f"<needs>{','.join(t['needs'])}</needs></task>\n" for t in TASKS
    ) + "</tasks>",
    "XML with other names": "<plan>" + "".join(
        f"<item><id>{t['id']}</id><worker>{t['type']}</worker><instruction>{t['description']}</instruction>"
        f"<needs>{','.join(t['needs'])}</needs></item>" for t in TASKS
    ) + "</plan>",
    "YAML by id": "tasks:\n" + "".join(
        f"  {t['id']}:\n    type: {t['type']}\n    description: {t['description']}\n    needs: {t['needs']}\n"
        for t in TASKS
    ),
    "YAML in braces": "tasks:\n" + "".join(
        f"  - {{id: {t['id']}, type: {t['type']}, description: {t['description']}, needs: {t['needs']}}}\n"
        for t in TASKS
    ),
    "XML with attributes": '<task id="t1" type="plan">Say what comes first.</task>\n'
    '<task id="t2" type="code/solve" needs="t1">Write the code.</task>',
    "YAML": """analysis: easy: you see
tasks:
- id: t1
  type: plan
  description: Say what comes first.
  needs: []
- id: t2
  type: code/solve
  description: >-
    Write the code.
  needs:
    - t1
""",
    "YAML in a fence": """```yaml
tasks:
  - id: t1
    type: plan
    description: Say what comes first.

  - id: t2
    type: 'code/solve'
    description: "Write the code."
    needs: [t1]
```
Good luck: all is said.""",
    "Markdown with fields": """## Plan

1. **Task 1: Begin**
   - **Type:** plan
   - **Description:** Say what comes first.
   - **Needs:** none

2. **Task 2: Go on**
   - **Type:** code/solve
   - **Description:** Write the code.
   - **Needs:** t1
""",
    "fields in a line": "1. ID: t1, Type: plan, Description: Say what comes first.\n"
    "2. ID: t2; Type: code/solve; Description: Write the code.; Needs: t1",
    "TOML": 'analysis = "easy"\n\n' + "".join(
        f'[[tasks]]\nid = "{t["id"]}"\ntype = "{t["type"]}"\ndescription = """{t["description"]}"""\n'
        f"needs = {t['needs']}  # so\n\n" for t in TASKS
    ),
    "TOML by id, in a fence": """```toml
[tasks.t1]
type = 'plan'
description = "Say what comes first."
[tasks.t2]
type = 'code/solve'
description = "Write the code."
needs = ["t1"]
```
Good luck.""",
    "quoted as in Markdown": "This is the plan:\n\n" + "".join(
        f"> {line}\n" for line in json.dumps(WHOLE, indent=2).splitlines()
    ) + "\nGood luck.",
    "signs of a Chinese keyboard": J.replace(": ", "：").replace(", ", "，"),  # noqa: RUF001
    "INI": "".join(
        f"[{t['id']}]\ntype = {t['type']}\ndescription = {t['description']}\nneeds = {','.join(t['needs'])}\n"
        for t in TASKS
    ),
    "CSV": "Here it is:\n\nid,type,description,needs\nt1,plan,Say what comes first.,\n"
    't2,code/solve,"Write the code.",t1\n',
    "CSV with semicolons": "id;type;description;needs\nt1;plan;Say what comes first.\nt2;code/solve;Write the code.;t1",
    "tabs in a fence": "```tsv\nid\ttype\tdescription\tneeds\nt1\tplan\tSay what comes first.\n"
    "t2\tcode/solve\tWrite the code.\tt1\n```\nThat is all.",
    "Task(…)": "tasks = [\n" + "".join(
        f"    Task(id={t['id']!r}, type={t['type']!r}, description={t['description']!r}, needs={t['needs']}),\n"
        for t in TASKS
    ) + "]",
    "add_task(…)": 'plan.add_task("t1", "plan", "Say what comes first.")\n'
    'plan.add_task("t2", "code/solve", """Write the code.""", needs=["t1"])',
    "PHP": "return [\n  'analysis' => 'easy',\n  'tasks' => [\n" + "".join(
        f"    ['id' => '{t['id']}', 'type' => '{t['type']}', 'description' => \"{t['description']}\", "
        f"'needs' => {t['needs']}],\n"
        for t in TASKS
    ) + "  ],\n];",
    "PHP's arrays": "array('tasks' => array(" + ", ".join(
        f"array('id' => '{t['id']}', 'type' => '{t['type']}', 'description' => '{t['description']}', "
        f"'needs' => array({', '.join(map(repr, t['needs']))}))" for t in TASKS
    ) + "))",
    "Ruby": "{ :tasks => [" + ", ".join(
        f"{{ :id => '{t['id']}', :type => '{t['type']}', :description => '{t['description']}', "
        f":needs => {t['needs']} }}"
        for t in TASKS
    ) + "] }",
    "workers that are called": 't1 = plan("Say what comes first.")\nt2 = await code_solve("Write the code.", t1)',
    "headings with fields": "### Task 1\nType: plan\nDescription: Say what comes first.\nNeeds: -\n\n### Task 2\n"
    "Type: code/solve\nDescription: Write the code.\nNeeds: t1\n",
}  # fmt: skip
# Without ids and needs.
LABELLED = {
    "**plan**: …": "1. **plan**: Say what comes first.\n2. **code/solve**: Write the code.",
    "**plan:** …": "* **plan:** Say what comes first.\n* **code/solve:** Write the code.",
    "[plan] …": "- [plan] Say what comes first.\n- [code/solve] Write the code.",
    "plan: …": "1. plan: Say what comes first.\n2. Code/Solve: Write the code.",
    "`plan` - …": "Sure!\n\n1) `plan` - Say what comes first.\n2) `code/solve` - Write the code.\n\nThat is all.",
    "Subtask 1 (plan): …": "**Subtask 1 (plan):** Say what comes first.\n"
    "**Subtask 2 (type: code/solve):** Write the code.",
    "[worker: plan] …": "1. [worker: plan] Say what comes first.\n2. [worker=`code/solve`] Write the code.",
    "… (plan)": "1. Say what comes first. (plan)\n2. **Write the code.** [type: code/solve]",
    "Step 1: …": "**Step 1: [plan]** Say what comes first.\n\n**Step 2: [code/solve]** Write the code.",
    "letters": "a) plan: Say what comes first.\nb) code/solve: Write the code.",
    "Roman numbers": "I. plan: Say what comes first.\nII. code/solve: Write the code.",
    "numbers in keys": "1\ufe0f\u20e3 plan: Say what comes first.\n2\ufe0f\u20e3 code/solve: Write the code.",
    "the worker as the only key": json.dumps({"tasks": [{t["type"]: t["description"]} for t in TASKS]}),
    "tools and inputs": json.dumps([{"tool": t["type"], "input": t["description"]} for t in TASKS]),
    "calls as they are sent": json.dumps(
        {
            "tool_calls": [
                {
                    "type": "function",
                    "function": {"name": t["type"], "arguments": json.dumps({"task": t["description"]})},
                }
                for t in TASKS
            ]
        }
    ),
    "a call for each": json.dumps([{"name": t["type"], "arguments": {"task": t["description"]}} for t in TASKS]),
    "begin (plan): …": "begin (plan): Say what comes first.\ngo-on [code/solve]: Write the code.",
    "**The beginning** (plan): …": "- **The beginning** (plan): Say what comes first.\n"
    "- **The rest** (`code/solve`): Write the code.",
    "boxes": "- [ ] **plan**: Say what comes first.\n- [x] code/solve: Write the code.",
    "LaTeX": "\\section*{Tasks}\n\\begin{enumerate}\n\\item \\textbf{plan}: Say what comes first.\n"
    "\\item \\texttt{code/solve}: Write the code.\n\\end{enumerate}",
    "LaTeX's descriptions": "\\begin{description}\n\\item[plan] Say what comes first.\n"
    "  \\item[code/solve] Write the code.\n\\end{description}",
    "reStructuredText": "#. **plan**: Say what comes first.\n#. code/solve: Write the code.",
    "AsciiDoc": ". plan: Say what comes first.\n. *code/solve*: Write the code.",
    "Org": "* TODO plan: Say what comes first.\n* DONE code/solve: Write the code.",
    "plan -> …": "1. plan -> Say what comes first.\n2. code/solve → Write the code.",
    "t1: …": "t1: plan: Say what comes first.\nt2 (code/solve): Write the code.",
    "headings": "## Task 1: plan\nSay what comes first.\n\n## Task 2: code/solve\nWrite the code.",
    "ticks": "✅ plan: Say what comes first.\n✅ **code/solve**: Write the code.",
    "arrows": "➤ plan – Say what comes first.\n➤ code/solve – Write the code.",  # noqa: RUF001
    "Chinese numbers": "一、plan：Say what comes first.\n二、code/solve：Write the code.",  # noqa: RUF001
    "Chinese steps": "第一步（plan）：Say what comes first.\n第2步：code/solve：Write the code.",  # noqa: RUF001
    "@plan": "1. @plan Say what comes first.\n2. @code/solve: Write the code.",
    "… — plan": "1. Say what comes first. — plan\n2. Write the code. -> `code/solve`",
    "the worker, and below what it does": "1. plan\n   - Say what comes first.\n"
    "2. **code/solve**\n   - Write the code.",
    "blocks": "plan:\n  Say what comes first.\n\n**code/solve:**\n  Write the code.",
    "actions": "Thought: Two parts.\nAction: plan\nAction Input: Say what comes first.\n\n"
    "Thought: And then?\nAction: code/solve\nAction Input: Write the code.",
    "a list in HTML": "<ol>\n<li><b>plan</b>: Say what comes first.</li>\n<li>code/solve: Write the code.</li>\n</ol>",
    "workers as tags": "<plan>Say what comes first.</plan>\n<code/solve>Write the code.</code/solve>",
    "<invoke>": '<function_calls><invoke name="plan"><parameter name="description">Say what comes first.</parameter>'
    '</invoke>\n<invoke name="code_solve"><parameter name="description">Write the code.</parameter></invoke>',
    "<function=plan>": "<tool_call>\n<function=plan>\n<parameter=task>\nSay what comes first.\n</parameter>\n"
    "</function>\n</tool_call>\n<tool_call>\n<function=code/solve>\n<parameter=task>\nWrite the code."
    "\n</parameter>\n</function>",
    "<arg_key>": "".join(
        f"<tool_call>{t['type']}\n<arg_key>task</arg_key>\n<arg_value>{t['description']}</arg_value>\n</tool_call>"
        for t in TASKS
    ),
    "texts": json.dumps({"tasks": ["plan: Say what comes first.", "[code/solve] Write the code."]}),
}
EVERY = STREAMED | AT_THE_END | LABELLED


def read(*pieces: str, workers: dict[str, Role] = WORKERS) -> tuple[list[Draft | Broken], PlanReader]:
    reader = PlanReader(workers)
    told = [item for piece in pieces for item in reader.feed(piece)]
    return [*told, *reader.end()], reader


def drafts(text: str, workers: dict[str, Role] = WORKERS) -> list[tuple[str, str]]:
    return [(item.type, item.description) for item in read(text, workers=workers)[0] if isinstance(item, Draft)]


@pytest.mark.parametrize("text", [*(STREAMED | AT_THE_END).values()], ids=[*(STREAMED | AT_THE_END)])
def test_a_plan_is_read_in_whatever_form_it_is_written(text: str) -> None:
    items, reader = read(text)
    assert [(i.id, i.type, i.description, i.needs) for i in items if isinstance(i, Draft)] == [
        ("t1", "plan", "Say what comes first.", ()),
        ("t2", "code/solve", "Write the code.", ("t1",)),
    ]
    assert len(items) == 2, "nothing else is told"
    assert reader.state == "closed"


@pytest.mark.parametrize("text", LABELLED.values(), ids=LABELLED)
def test_a_list_whose_entries_name_workers_is_a_plan(text: str) -> None:
    items, reader = read(text)
    said = [(item.type, item.description) for item in items if isinstance(item, Draft)]
    assert said == [("plan", "Say what comes first."), ("code/solve", "Write the code.")]
    assert (len(items), reader.state) == (2, "closed")


@pytest.mark.parametrize("text", STREAMED.values(), ids=STREAMED)
def test_what_is_json_is_handed_over_by_the_piece_that_closes_it(text: str) -> None:
    reader = PlanReader(WORKERS)
    told = [len(reader.feed(character)) for character in text]
    places = [place for place, count in enumerate(told) if count]
    assert [text[place] for place in places] == ["}", "}"]
    assert places[0] < text.index("code/solve")


@pytest.mark.slow
@pytest.mark.parametrize("text", EVERY.values(), ids=EVERY)
def test_every_form_is_read_alike_wherever_it_is_cut(text: str) -> None:
    whole = read(text)
    for place in some(range(len(text))):
        cut = read(text[:place], text[place:])
        assert (cut[0], cut[1].state, cut[1].analysis) == (whole[0], whole[1].state, whole[1].analysis)


@given(
    st.sampled_from([*EVERY.values()]),
    st.lists(st.integers(0, 2000), max_size=9),
    st.text(max_size=3),
    st.integers(0, 2000),
)
def test_nothing_in_a_form_makes_it_raise_and_no_cut_changes_what_is_read(
    text: str, cuts: list[int], dirt: str, at: int
) -> None:
    text = text[: at % len(text)] + dirt + text[at % len(text) :]
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    assert read(*(text[a:b] for a, b in itertools.pairwise(edges)))[0] == read(text)[0]


def test_a_form_without_an_end_is_open_if_the_reply_was_cut_off() -> None:
    for name in ("one after the other", "YAML", "Markdown with fields"):
        reader = PlanReader(WORKERS)
        reader.feed(AT_THE_END[name])
        assert len(reader.end(whole=False)) == 2
        assert reader.state == "open", name


# What is no plan.

NO_PLANS = [
    "I would first settle the terms, then write. Two tasks, as I see it: first the plan, then the code.",
    "Here are the steps:\n1. Boil the water.\n2. Put the tea in.\n3. Wait for four minutes.",
    "Here is a plan for your trip:\n- Day 1: See the castle.\n- Day 2: Go to the sea.",
    "The workers are:\n- plan: a plan, no work\n- code/solve: the solution itself",
    '{"answer": "Forty-two", "sources": [{"name": "A good book", "description": "It has it all."}]}',
    '[{"name": "Green tea", "description": "A mild one."}, {"name": "Black tea", "description": "A strong one."}]',
    '{"tasks": null, "steps": 3, "items": ["tea", "milk"]}',
    'The form is {"tasks": [{"type": "...", "description": "..."}]}.',
    json.dumps(plan_schema(WORKERS, 9, Form(sized=True, needs=True))),
    "type: a word for kind\n\nOn needs: none of this is a task.",
    "<p>The task is <b>hard</b></p>",
    "name,price,description\nAssam,4,A strong one.\nSencha,6,A mild one.",
    '[package]\nname = "tea"\ndescription = "Brews tea."\n\n[tool.ruff]\nline-length = 120\n',
    'print("Say what comes first")\nbook = Book(name="a good book", description="It has it all.")\n',
    "Say when it is done, (plan) in hand.",
    "> Each of us has a {plan}.\n> None of us: has two.",
    "The first part (a plan, no work): it takes long.",
    "name,type,description\nid,int,What it is called by.\nat,float,When it was made.",
    "[[columns]]\nname = 'id'\ntype = 'int'\ndescription = 'What it is called by.'\n",
    'Button(type="submit", text="Send it now")\nfile.plan("Say what comes first.")\nx = f(plan("Say what"))',
    "✅ It is done.\n➤ It is (plan) that counts.\n第一步：Boil the water.\n一、Put the tea in.",  # noqa: RUF001
    "Plan:\n1. Boil the water.\n2. Put the tea in.\n3. Wait for four minutes.",
    '[{"type": "text", "text": "Here it is."}]',
    '[["Assam", "a strong one"], ["Sencha", "a mild one"]]',
    "<ul><li>Boil the water.</li><li>Put the tea in.</li></ul>",
    '{"name": ["Assam", "Sencha"], "description": ["A strong one.", "A mild one."]}',
    "<function=brew><parameter=text>Put the tea in.</parameter></function>",
    "",
]


@pytest.mark.parametrize("text", NO_PLANS)
def test_prose_and_answers_are_no_plans(text: str) -> None:
    items, _ = read(text)
    assert [item for item in items if isinstance(item, Draft)] == []


def test_lists_by_worker_are_a_plan() -> None:
    workers = {"find": Role("sim:a"), "write": Role("sim:b")}
    lists = {"analysis": "x", "find": ["Find the terms.", {"task": "Find the costs."}], "Write": "Write it all up."}
    assert drafts(json.dumps(lists), workers) == [
        ("find", "Find the terms."),
        ("find", "Find the costs."),
        ("write", "Write it all up."),
    ]
    assert drafts(json.dumps({"findings": ["It is so."], "write": 3}), workers) == []


def test_a_list_below_a_heading_that_says_so_is_a_plan() -> None:
    text = "**Subtasks:**\n\n1. Find the terms that matter.\n2. Compare both of them.\n   Mind the costs.\n"
    assert drafts(text, {"general": Role("sim:a")}) == [
        ("general", "Find the terms that matter."),
        ("general", "Compare both of them.\nMind the costs."),
    ]


def test_the_parts_of_a_subtask_come_before_it_and_it_needs_them() -> None:
    parts = [{**TASKS[1], "id": "", "needs": []}, {"type": "plan", "description": "Plan the rest.", "id": "rest"}]
    items, _ = read(json.dumps({"tasks": [TASKS[0], {**TASKS[0], "id": "t2", "needs": ["t1"], "subtasks": parts}]}))
    assert [(item.id, item.needs) for item in items if isinstance(item, Draft)] == [
        ("t1", ()),
        ("t2.1", ("t1",)),
        ("rest", ("t1",)),
        ("t2", ("t1", "t2.1", "rest")),
    ]
    steps = [{"step": 1, "action": "Open the page."}]  # for whoever does it
    assert len(drafts(json.dumps({"tasks": [{**TASKS[0], "subtasks": steps}]}))) == 1


def test_a_list_called_tasks_counts_before_one_that_only_looks_like_it() -> None:
    steps = json.dumps({"steps": [{"step": 1, "title": "Read it well"}, {"step": 2, "title": "Write it well"}]})[:-1]
    assert drafts(steps + f', "tasks": {json.dumps(TASKS)}}}') == [
        ("plan", "Say what comes first."),
        ("code/solve", "Write the code."),
    ]
    assert [text for _, text in drafts(steps + "}")] == ["Read it well", "Write it well"]


@pytest.mark.parametrize(
    "said",
    ["t1, t2, t3 and so on", "t1,t2,t3,t4 and so on.", "T1", "The objective, what to return, what is out of scope."],
)
def test_what_a_schema_says_of_a_field_is_no_subtask(said: str) -> None:
    items, _ = read(json.dumps({"tasks": [{**TASKS[0], "description": said}, TASKS[1]]}))
    assert [item.description for item in items if isinstance(item, Draft)] == ["Write the code."]
    assert len(items) == 2


def test_json_that_was_cut_off_is_no_list_of_fields() -> None:
    text = json.dumps(WHOLE, indent=2)
    for end in (text.index("first.") + 3, text.index('"needs"') + 12):
        reader = PlanReader(WORKERS)
        items = [*reader.feed(text[:end]), *reader.end(whole=False)]
        assert [type(item) for item in items] == [Broken]
        assert reader.state == "open"


def test_the_form_itself_before_the_plan_is_no_plan() -> None:
    schema = '{"tasks": [{"type": "object", "description": "a subtask"}]}'
    assert drafts(f"{schema}\n{J}") == [("plan", "Say what comes first."), ("code/solve", "Write the code.")]


# One stray mark.


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"plan", ', '"plan"}, '),
        ('"t1", ', '"t1"{ '),
        (', {"id": "t2"', ', "id": "t2"'),
        ("[]}, ", "[]}, ]"),
        ("[]}, ", "[]}, ["),
        ("[]}, ", '[]}, "'),
        ('first.", ', 'first."}, '),
        ('{"id": "t2"', '{"id"}: "t2"'),
    ],
)
def test_a_stray_mark_that_splits_an_entry_leaves_the_plan_whole(was: str, becomes: str) -> None:
    text = J.replace(was, becomes, 1)
    assert text != J
    items, reader = read(text)
    assert [(item.type, item.description) for item in items if isinstance(item, Draft)] == [
        ("plan", "Say what comes first."),
        ("code/solve", "Write the code."),
    ]
    assert (len(items), reader.state) == (2, "closed")


def test_halves_find_each_other_across_a_stray_bracket() -> None:
    text = J.replace('"code/solve", ', '"code/solve"}]{')
    for pieces in ([text], [*text]):
        items, reader = read(*pieces)
        assert [item.type for item in items if isinstance(item, Draft)] == ["plan", "code/solve"]
        assert (len(items), reader.state) == (2, "closed")


# What stands before the list.


@pytest.mark.parametrize(
    ("text", "brief", "analysis"),
    [
        ('{"brief": "Say \\"you\\".", "tasks": [', 'Say "you".', 'Say "you".'),
        ('{"analysis": "Two parts.", "tasks": [', "", "Two parts."),
        ("{'brief': 'In a table.', 'tasks': [", "In a table.", "In a table."),
        ('{"Brief": "short", "size": "one", "subtasks": [', "short", "short"),
        ('{"tasks": [', "", ""),
    ],
)
def test_brief_and_analysis_are_known_when_the_list_opens(text: str, brief: str, analysis: str) -> None:
    reader = PlanReader()
    reader.feed(text)
    assert (reader.brief, reader.analysis) == (brief, analysis)


# Effort.

N = whole(40_000, 10_000)
HOSTILE = {
    "backslashes": "\\", "dots": ".", "quotes": '"', "apostrophes": "'", "braces": "{", "brackets": "[", "colons": ":",
    "openings": '"steps": [', "first keys": '[{"type":', "texts in texts": '"{\\"', "tags": "<task><type>",
    "keys": '"a": {"type": ', "analyses": '"analysis": "', "bullets": "- a b\n", "fields": "type: a\n",
    "lines": " \n", "blanks": " ", "cells": "| type | task\n", "entries in braces": "- {id: t, type: a, ",
    "names": " a:\n", "sections": "[[tasks]]\n", "keys of sections": "a = 1\n", "calls": "f(",
    "arguments": "f(type='a',",
    "calls in tags": '<invoke name="plan">', "what they are given": "<parameter=a>", "list items": "<li>",
    "tables": "<tr><td>",
    "names as tags": "<plan>", "rows in rows": "[[", "ticks": "`", "keys in Chinese": '"类型": ',
    "rows": "id,type,description\n", "long texts": '"""', "heads": "[a]\ntype = 'b'\n",
}  # fmt: skip
BEHIND = {
    "stars": ("- ", "*"),
    "phases": ('{"tasks": [{"type": "a", "description": "b c"}], ', '"phase": '),
    "calls that are given much": ("<function=a>", "<parameter=b>"),
    "labels": ("- ", "a:"),
    "brackets behind a word": ("- a", " (plan"),
    "wide signs": ('{"tasks"', "："),  # noqa: RUF001
    "quotations": ("{", "\n> "),
    "escaped quotes": ('{"tasks": [{"type": "a", "description": "b", "needs": ["', '\\"'),
    "escaped apostrophes": ("f('", "\\'"),
    "splinters": ('{"tasks": [{"type":"a"}', ', "type": "b"'),
    "apostrophes in an entry": ("{\"tasks\": [{'type': 'a', 'description': '", "' "),
    "quotes in an entry": ('{"tasks": [{"type": "a", "description": "', 'x" y'),
    "blanks in an entry": ('{"tasks": [{type', " "),
}
LONG = {name: piece * (N // len(piece)) for name, piece in HOSTILE.items()} | {
    name: lead + piece * (N // len(piece)) for name, (lead, piece) in BEHIND.items()
}


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_no_text_is_more_work_than_its_length(text: str) -> None:
    """Quadratic work would take a quarter of a minute here and more, where some hundredths of a second are enough."""
    for pieces in ([text], [text[at : at + 50] for at in range(0, len(text), 50)]):
        assert read(*pieces)[1].size == ""
