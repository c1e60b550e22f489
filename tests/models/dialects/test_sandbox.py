from __future__ import annotations

from typing import Any

import pytest

from myna.models.dialects import sandbox
from myna.models.dialects.sandbox import TemplateFailure, TemplateRefusal, render


def rendered(source: str, **variables: Any) -> str:
    return render(source, {"messages": [{"role": "user", "content": "hi"}], **variables})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "hi"),
        ("{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}x{% endfor %}", ""),
        ("{% set ns = namespace(found=false) %}{% set ns.found = true %}{{ ns.found }}", "True"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "hi"}]'),
        ("{{ '<é>' | tojson }}", '"<é>"'),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", "hi!"),
        ("{% macro say(x) %}[{{ x }}]{% endmacro %}{{ say('a') }}", "[a]"),
        ("    {% if true %}\nx\n    {% endif %}\n", "x\n"),
        ("{{ undefined_name }}{{ range(3) | list }}", "[0, 1, 2]"),
        ("{{ dict(a=1).a }}", "1"),
    ],
)
def test_what_the_templates_of_real_models_use(source: str, expected: str) -> None:
    assert rendered(source) == expected


def test_dates_have_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    assert int(rendered("{{ strftime_now('%Y') }}")) >= 2025


def test_a_refusal_keeps_its_words() -> None:
    with pytest.raises(TemplateRefusal, match="Roles must alternate"):
        rendered("{{ raise_exception('Roles must alternate') }}")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ messages[0].content() }}", "TypeError"),
        ("{{ missing.attribute }}", "UndefinedError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ messages.__init__.__globals__ }}", "SecurityError"),
        ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "SecurityError"),
        ("{{ namespace(**{'__init__': 1}) }}", "SecurityError"),
        ("{{ raise_exception.__globals__.os }}", "SecurityError"),
        ("{{ '{0.__class__.__base__}'.format(messages) }}", "SecurityError"),
        ("{{ range(10 ** 9) }}", "OverflowError"),
        ("{{ cycler }}{{ lipsum() }}", "UndefinedError"),
        ("{% include '/etc/passwd' %}", "TypeError"),
        ("{% import 'os' as os %}", "TypeError"),
    ],
)
def test_what_breaks_or_breaks_out_is_a_named_failure(source: str, reason: str) -> None:
    with pytest.raises(TemplateFailure, match=reason):
        rendered(source)


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__ }}", "{{ raise_exception.__globals__ }}", "{{ '{0.__class__}'.format(messages) }}"]
)
def test_objects_behind_the_values_are_not_there(source: str) -> None:
    assert rendered(source) == ""


def test_output_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_OUTPUT", 1000)
    with pytest.raises(TemplateFailure, match="more than 1000 characters"):
        rendered("{% for i in range(2000) %}x{% endfor %}")
