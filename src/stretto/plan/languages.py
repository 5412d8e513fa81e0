"""The fields of a plan as models call them that answer in the language of the task, keys and all."""

import re

from stretto.ground.regex import regex

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
_KEY = regex(r"""(["'“”])([^\W\d_][\w-]{0,19})(["'“”])(?=\s{0,9}[:\uff1a])""")


def english(name: str) -> str:
    """The English of a field's name that has no case and punctuation; the name itself if it has none."""
    return _WORDS.get(name, name)


def in_english(text: str) -> str:
    """JSON with those of its keys in English that name the fields of a plan in another language."""
    return _KEY.sub(_key, text)


def _key(match: re.Match[str]) -> str:
    name = match[2].casefold().replace("_", "").replace("-", "")
    return f"{match[1]}{_WORDS[name]}{match[3]}" if name in _WORDS else match[0]
