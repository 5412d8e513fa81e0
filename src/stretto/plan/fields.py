"""An object of a plan taken apart into its fields, whatever is wrong with its JSON and however it names them."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from stretto.ground.regex import regex

LOOSE = " \t\r\n,"
QUOTES = "\"'“”„"

# What models call the fields of a subtask, without case and punctuation; of several the first that says something.
TYPE = ("type", "tasktype", "subtasktype", "worker", "workertype", "agent", "role", "kind", "category", "assignee",
        "assignedto", "tool")  # fmt: skip
DESCRIPTION = ("description", "taskdescription", "details", "detail", "instructions", "instruction", "prompt", "task",
               "subtask", "content", "objective", "goal", "question", "query", "input", "actioninput", "action",
               "step", "desc", "text", "title", "name", "summary")  # fmt: skip
ID = ("id", "taskid", "subtaskid", "number", "step", "index", "key")
NEEDS = ("needs", "need", "dependson", "dependencies", "dependency", "depends", "requires", "prerequisites", "after")
TITLE = ("title", "name")
VALUE = ("value",)
NAMES = frozenset({*TYPE, *DESCRIPTION, *ID, *NEEDS, *VALUE})
_GIVEN = ("arguments", "parameters", "args")
"""What a call gives to the tool it names."""
FIELD = r"[A-Za-z]\w{0,15}"
"""A pattern of what may be the name of a field; `is_field` says whether it is one."""

_KEY = regex(r'[{,"\]]\s*"([\w -]{1,40})"\s*:\s*')
_COMMENT = regex(r"([,{\[])\s*//[^\n/]*+\n")
_QUOTED = regex(r'"(.*(?<!\\)(?:\\\\)*)"', re.DOTALL)
_ITEMS = regex(r'"((?>(?:[^"\\]+|\\.)*))(?:"|\Z)|([\w.+-]+)', re.DOTALL)
_ESCAPE = regex(r'(\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))|\\(\')|([\\"])')
_PUNCTUATION = regex(r"[\W_]+")
_SAYS = regex(r"[^\s.…]")
# Of a string in other quotes than JSON's: it ends where `,`, `:`, `}` or `]` follows, or never. Atomic groups, because
# possessive repeats capture wrongly on CPython 3.11.2.
_OTHERWISE = regex(
    r'"(?>(?:[^"\\]+|\\.)*)(?:"|\Z)'
    r"|(?<=[{\[,:\s])'((?>(?:[^'\\]+|\\.|'(?!\s*(?:[,:}\]]|\Z)))*))(?:'|\Z)"
    r"|[“”„]((?>(?:[^“”\\]+|\\.|[“”](?!\s*(?:[,:}\]]|\Z)))*))(?:[“”]|\Z)"
    r"|\b(True|False|None)\b"
    r"|(?<=[{,])(\s*)([A-Za-z_][\w-]*)(?=\s*:)",
    re.DOTALL,
)
_CONSTANTS = {"True": "true", "False": "false", "None": "null"}

# The same fields, as models call them that answer in the language of the task, keys and all.
_ENGLISH = {
    "tasks": "任务 子任务 任务列表 任務 子任務 タスク サブタスク 작업 하위작업 aufgaben teilaufgaben"
    " tareas subtareas tâches sous-tâches taches tarefas subtarefas compiti sottocompiti задачи"
    " подзадачи zadania taken deeltaken",
    "type": "类型 任务类型 類型 種類 種別 タイプ 유형 typ tipo тип soort",
    "description": "描述 任务描述 说明 描述内容 說明 説明 内容 설명 beschreibung descripción descripcion"
    " descrição descricao descrizione описание opis omschrijving beschrijving",
    "needs": "依赖 依赖项 需要 前置任务 依賴 依存 依存関係 의존성 braucht benötigt abhängigkeiten"
    " abhängig_von dependencias depende_de necesita dépendances dependances dépend_de"
    " dependências dipendenze зависимости zależności afhankelijkheden",
    "id": "编号 任务编号 序号 編號 番号 번호 nummer número numero numéro номер",
    "analysis": "分析 分析結果 분석 analyse análisis análise analisi анализ analiza",
    "brief": "摘要 简要说明 概要 要約 요약 kurzfassung resumen résumé resumo riassunto кратко",
}
_WORDS = {word: name for name, words in _ENGLISH.items() for word in words.replace("_", "").replace("-", "").split()}
_FOREIGN_KEY = regex(r"""(["'“”])([^\W\d_][\w-]{0,19})(["'“”])(?=\s{0,9}[:\uff1a])""")


def english(name: str) -> str:
    """The English of a field's name that has no case and punctuation; the name itself if it has none."""
    return _WORDS.get(name, name)


def in_english(text: str) -> str:
    """JSON with those of its keys in English that name the fields of a plan in another language."""
    return _FOREIGN_KEY.sub(_in_english, text)


def _in_english(match: re.Match[str]) -> str:
    name = match[2].casefold().replace("_", "").replace("-", "")
    return f"{match[1]}{_WORDS[name]}{match[3]}" if name in _WORDS else match[0]


def plain(name: str) -> str:
    """A name without case, blanks and punctuation."""
    folded = name.casefold()
    return folded if folded.isalnum() else _PUNCTUATION.sub("", folded)


def is_field(name: str) -> bool:
    """Whether a field of a subtask may be called so."""
    return plain(name) in NAMES


def says(value: Any) -> bool:
    """Tell a text from nothing, from other things and from the dots of a quoted form."""
    return isinstance(value, str) and _SAYS.search(value) is not None


def fields_in(text: str) -> dict[str, Any]:
    """Decode an object: strictly, else with what the standard library forgives, else quote by quote, key by key.

    Of keys that differ in case and punctuation alone the first counts.
    """
    return unwrapped(_object_in(text))


def unwrapped(found: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its keys as plain names; one that holds nothing but an object is that, with its name as id.

    A call of a tool is what it gives to the tool, with the tool's name as type.
    """
    if given := _given(found):
        return given
    if len(found) == 1:
        ((name, only),) = found.items()
        if isinstance(only, dict) and only:
            return {**({} if is_field(name) else {"id": name}), **unwrapped(only)}
    fields: dict[str, Any] = {}
    for key, value in found.items():
        fields.setdefault(english(plain(key)), value)
    return fields


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a call of a tool gives to it, as models that are trained to call tools write it; empty if it is none."""
    call = found["function"] if isinstance(found.get("function"), dict) else found
    given = next((call[name] for name in _GIVEN if name in call), None)
    if isinstance(given, str):
        given = _object_in(given)
    tool = call.get("name")
    return {"type": tool, **unwrapped(given)} if isinstance(given, dict) and given and isinstance(tool, str) else {}


def _object_in(text: str) -> dict[str, Any]:
    for decoded in _decoded(text):
        if isinstance(decoded, dict):
            return decoded
    salvaged = _salvaged(text)
    return salvaged or _salvaged(requoted(text))


def is_json(text: str) -> bool:
    """Whether a text is JSON as it should be."""
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _decoded(text: str) -> Iterator[Any]:
    with suppress(ValueError, RecursionError):
        yield msgspec.json.decode(text)
    with suppress(ValueError, RecursionError):
        yield json.loads(text, strict=False)
    with suppress(ValueError, RecursionError):
        yield json.loads(requoted(text), strict=False)


def requoted(text: str) -> str:
    """JSON of what has Python's quotes and constants, typographic quotes, or keys without any."""
    return _OTHERWISE.sub(_as_json, text)


def _as_json(match: re.Match[str]) -> str:
    if (constant := match[3]) is not None:
        return _CONSTANTS[constant]
    if match[5] is not None:
        return f'{match[4]}"{match[5]}"'
    body = match[1] if match[1] is not None else match[2]
    return match[0] if body is None else msgspec.json.encode(decode_text(body)).decode()


def _salvaged(text: str) -> dict[str, Any]:
    """Cut an object that is no JSON at its keys and read what lies between them; the first of a name counts."""
    text = _COMMENT.sub(r"\1", text)
    fields, end = {}, len(text)
    for key in reversed(list(_KEY.finditer(text))):
        fields[key[1]] = _value(text[key.end() : end].strip())
        end = key.start(1) - 1
    return dict(reversed(fields.items()))


def _value(raw: str) -> Any:
    """Read a field as far as it is certain what was meant; with a bare word it is not."""
    if raw.startswith('"'):
        quoted = _QUOTED.match(raw)
        return decode_text(quoted[1] if quoted else raw[1:].rstrip(LOOSE + "}"))
    if raw.startswith("["):
        return listed(raw)
    bare = raw.rstrip(LOOSE + "}")
    return bare if bare.isdecimal() else None


def listed(raw: str) -> list[str]:
    """The texts and bare words of a list."""
    return [decode_text(quoted) if quoted else bare for quoted, bare in _ITEMS.findall(raw)]


def unquoted(raw: str) -> str:
    """What stands in quotes as code has them, three on a side or one."""
    quotes = 3 if raw[:3] in {'"' * 3, "'" * 3} else 1
    return decode_text(raw[quotes : -quotes or None]).strip()


def decode_text(body: str) -> str:
    """Decode what stands between the quotes of a string, whatever its escapes."""
    return str(json.loads('"' + _ESCAPE.sub(lambda m: m[1] or m[2] or "\\" + m[3], body) + '"', strict=False))
