#!/usr/bin/env python3
"""Holds Fathom's chat templates against Jinja2, set up as transformers' apply_chat_template does.

  templates.py vectors                          writes tests/vectors/templates.json
  templates.py check                            compares that file with this machine's engine
  templates.py compare PROGRAM SHARED [--count N] [--seed S]
                                                renders N generated conversations with every published
                                                template of SHARED/data through PROGRAM
                                                (BUILD/tests/render_template) and through Jinja2

Conversations have system texts, several turns, tools with calls and results, old thoughts, answers to
be continued, and text that spells control tokens. Arguments of calls are given to Fathom as JSON text
or as objects at random, and to Jinja2 in the form that the template expects.
"""

import argparse
import hashlib
import json
import pathlib
import random
import subprocess
import sys

import jinja2
import transformers
from transformers.utils.chat_template_utils import _compile_jinja_template

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "templates.json"
SEED = 7

VARIABLES = {
    "msgs": [
        {"role": "user", "content": "Hi <b> & 'q' \"d\"\n東京 ünï"},
        {"role": "assistant", "content": None, "n": [1, 2.5, True, None]},
    ],
    "s": "  Hello, World! \n x",
    "n": 7,
    "f": 1e-7,
    "d": {"b": 1, "a": [1, {"z": "é"}], "C": None},
    "l": [3, 1, 2],
    "e": [],
    "ws": ["b", "A", "c", "a"],
    "recs": [
        {"n": "x", "v": 3, "t": "p"},
        {"n": "y", "v": 1, "t": "q"},
        {"n": "z", "v": 2, "t": "p"},
    ],
}

# One template a line, so that a failure names its feature.
LINES = r"""
{{ s|trim }}|{{ s|upper }}|{{ s|lower }}|{{ s.strip().split(', ') }}
{{ d }} {{ d|tojson }} {{ d|tojson(indent=2) }} {{ d.items()|list }} {{ d|dictsort }}
{{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ d|tojson(ensure_ascii=true) }} {{ [[], {}, [[]]]|tojson(indent=1) }}
{{ msgs }}
{{ msgs[0].content|tojson }}{{ msgs[1].n|tojson }}
{{ l|sort }} {{ l|sort(reverse=true) }} {{ ws|sort }} {{ ws|sort(case_sensitive=true) }} {{ ws|unique|list }} {{ ws|join('-') }} {{ ws|map('upper')|list }}
{{ recs|map(attribute='n')|join(',') }} {{ recs|selectattr('t','equalto','p')|map(attribute='v')|sum }} {{ recs|rejectattr('v','gt',1)|list|length }} {{ recs|sort(attribute='v')|map(attribute='n')|join }}
{% for g, items in recs|groupby('t') %}{{ g }}:{{ items|length }} {% endfor %}{{ recs|join('/', attribute='n') }} {{ recs|sum(attribute='v') }} {{ recs|max(attribute='v') }}
{{ f }} {{ 1/3 }} {{ 7//2 }} {{ -7//2 }} {{ -7%3 }} {{ 7%-3 }} {{ -7.5%2 }} {{ 2**10 }} {{ 2**-1 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789.123 }} {{ 10/2 }} {{ 1.5e300*1e10 }}
{{ 'a' ~ 1 ~ none ~ true }} {{ undefined_x }}|{{ undefined_x|default('dflt') }}|{{ ''|default('x', true) }}|{{ none|default('y') }}
{{ s[0] }}{{ s[2:7] }}{{ s[::-1] }}{{ l[-1] }}{{ l[:2] }}{{ 'héllo'[1] }}{{ 'héllo'|length }}{{ 'héllo'[-4:-1] }}{{ l[5:] }}{{ l[::2] }}{{ l[2:0:-1] }}
{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}
{% for x in e %}x{% else %}empty{% endfor %}{% for x in undefined_x %}x{% else %}undefined{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{% set ns = namespace(c=0, t='') %}{% for x in l %}{% set ns.c = ns.c + x %}{% set ns.t = ns.t ~ x %}{% endfor %}{{ ns.c }} {{ ns.t }} {{ ns.missing is defined }}
{% set x = 1 %}{% for i in range(3) %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% with x = 3 %}{{ x }}{% set x = 4 %}{{ x }}{% endwith %}{{ x }}
{% macro m(a, b='B', c=none) %}[{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}]{% endmacro %}{{ m(1) }}{{ m(1,2,3,4,k=5) }}{{ m(b='x', a='y') }}{{ m.name }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{{ n }}{% endmacro %}{% set n = 8 %}{{ m(1) }}{% for n in [5] %}{{ m('q') }}{% endfor %}{{ m(*[1, 2]) }}{{ m(**{'a': 3}) }}
{% macro wrap() %}<{{ caller('q') }}>{% endmacro %}{% call(z) wrap() %}in {{ z }}{% endcall %}
{% macro fact(k) %}{% if k > 1 %}{{ k * fact(k - 1)|int }}{% else %}1{% endif %}{% endmacro %}{{ fact(5) }}
{% filter upper %}abc {{ s }}{% endfilter %}{% filter replace('a', 'b')|trim %} a {% endfilter %}
{% set blk %}  block {{ n }}{% endset %}[{{ blk }}]
{% set blk2 | trim | upper %}  block {{ n }} {% endset %}[{{ blk2 }}]
{% if n is defined and n is number and n is not string and d is mapping and l is sequence and s is string and l is iterable %}tests ok{% endif %}
{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ none is none }} {{ true is boolean }} {{ 3 is in l }} {{ 3 in l }} {{ 9 not in l }} {{ n is eq 7 }} {{ 'a' is lower }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ n is sameas n }} {{ range is callable }} {{ n is ge 8 }} {{ true is true }} {{ 1 is true }} {{ d is sequence }} {{ 5 is iterable }}
{{ "esc\n\t\x41\u00e9\'\"\q\101" }} {{ 'a' 'b' "c" }}
{{ [1,2]+[3] }} {{ (1,2) }} {{ (1,) }} {{ () }} {{ {'a':1, 'b':[1,2]} }} {{ 'ab'*3 }} {{ [1]*2 }} {{ 3 * 'x' }}
{{ 1 if false }}|{{ 1 if false else 2 }} {{ 1 < 2 < 3 }} {{ 1 < 2 > 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 'a' if 1 else 'b' if 0 else 'c' }}
{{ '%s is %d and %.2f' % ('x', 3, 2.5) }} {{ '%s'|format('y') }} {{ '%05d|%-4s|%4s|%x|%%|%r' % (42, 'a', 'b', 255, 'q') }} {{ '{} {1} {a}'.format('p') if false }}
{{ '{} {}'.format('p', 1) }} {{ '{1}{0}'.format('p', 'q') }} {{ '{a}{{}}'.format(a=2) }} {{ '%(a)s' % {'a': 1} }}
{{ s.replace('l','L',1) }} {{ s|replace('o','0') }} {{ 'ab'.replace('', '-') }} {{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(None, 1) }} {{ 'a-b-c'.rsplit('-',1) }} {{ ' a b c '.rsplit(none, 1) }} {{ 'x'.join(['1','2']) }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x','bc')) }} {{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abc'.find('z') }} {{ 'aXbX'.count('X') }} {{ 'hello world'.title() }} {{ "they're bill's"|title }} {{ 'hELLO'|capitalize }} {{ 'aXb'.swapcase() }} {{ 'pre-x'.removeprefix('pre-') }} {{ 'x.txt'.removesuffix('.txt') }}
{{ 'abc'.center(9,'*') }} {{ 'abc'.center(8,'*') }} {{ 'ab'.center(5,'*') }} {{ 'abc'|center(8) }}| {{ 'a'.ljust(3, '.') }}{{ 'a'.rjust(3) }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }}
{{ 'a\nb\n\nc'|indent(2) }} {{ 'a\nb'|indent('>>', true) }} {{ 'a\n\nb'|indent(1, blank=true) }} {{ 'a\nb\n'.splitlines() }} {{ 'a\r\nb'.splitlines(true) }} {{ 'k=v=w'.partition('=') }} {{ 'k=v=w'.rpartition('=') }} {{ 'k'.partition('=') }}
{{ '42'|int + 1 }} {{ '4.7'|int }} {{ 'x'|int(5) }} {{ '0x1f'|int(base=16) }} {{ ' 8 '|int }} {{ '3.5'|float }} {{ 'x'|float(1.5) }} {{ 3.7|int }} {{ -3.7|int }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.1|round(0,'ceil') }} {{ 2.19|round(1,'floor') }} {{ -3|abs }} {{ 5|round }} {{ none|int }}
{{ l|first }} {{ l|last }} {{ l|reverse|list }} {{ 'abc'|reverse }} {{ l|max }} {{ l|min }} {{ l|batch(2)|list }} {{ l|batch(2, 'z')|list }} {{ l|slice(2)|list }} {{ 'abc'|list }} {{ e|first is defined }}
{{ '<a>&"\''|e }} {{ '<a>'|safe }} {{ ('<a>'|safe) + '<b>' }} {{ '<x>'|e ~ '<y>' }} {{ ('<a>'|e)|e }} {{ '<'|forceescape }}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}
{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('|') %}{{ j() }}x{{ j() }}y
{{ dict(a=1, b=2) }} {{ dict({'a': 1}, a=2) }} {{ range(2,8,3)|list }} {{ range(3, 0, -1)|list }} {{ d.get('zz', 5) }} {{ d.get('zz') }} {{ d['b'] }} {{ d.b }} {{ d.keys()|list }} {{ d.values()|list }} {{ d|items|list }} {{ d|length }} {{ 'b' in d }}
{{ 'word count here'|wordcount }} {{ 'some long text to cut here ok'|truncate(12) }} {{ 'some long text to cut here ok'|truncate(12, true, '!') }} {{ 'short'|truncate(3) }} {{ "a b&c/é"|urlencode }}
{% generation %}gen {{ n }}{% endgeneration %}
{{ not n }} {{ n and 5 }} {{ 0 or 'z' }} {{ -n|abs }} {{ 1 ~ 2 + 3 }} {{ n.x is defined }} {{ d.zz is defined }} {{ (d.zz.yy is defined) if d.zz }} {{ not 1 == 2 }} {{ n is not none and n }}
{{ msgs|selectattr('content')|list|length }} {{ msgs|map(attribute='role')|list }} {{ [[1,2],[3]]|map('sum')|list }} {{ ['a','']|select|list }} {{ [1,2,3]|select('odd')|list }} {{ [1,2,3]|reject('odd')|list }} {{ [1,2,3]|select('in', [1, 3])|list }} {{ recs|map(attribute='q', default='-')|list }} {{ ['a ', ' b']|map('trim')|list }} {{ msgs|rejectattr('content', 'none')|list|length }} {{ [{'a': {'b': 1}}]|map(attribute='a.b')|first }}
{{ loop is defined }} {{ (1,2,3)[1:] }} {{ {'x': {'y': [10,20]}}.x.y.1 }} {{ "é" ~ '\\' }} {{ ["é'\"\n\u200b\\"] }} {{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 1.5e3 }}
{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% set p, q = 1, 2 %}{{ p }}{{ q }} {{ 'Iñß'|length }} {% for c in 'añ' %}[{{ c }}]{% endfor %}
{% for x in l %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.cycle('o','e') }}{{ loop.changed(x) }}{{ loop.first }} {% endfor %}
{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index0 }}{% endfor %}{% for x in l %}{% set y = x %}{% endfor %}{{ y is defined }}
{{ true + 1 }} {{ 1.0 }} {{ 3.0|int }} {{ 100000000000000000000.0 }} {{ 0.1+0.2 }} {{ 5 is number }} {{ 'abc' in 'xabcx' }} {{ 'A'.isupper() }} {{ ' '.isspace() }} {{ 'a1'.isalnum() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'Ab C'.istitle() }} {{ ''.isalpha() }}
{{ 'ÄÖÜ éè Ω ж'|lower }} {{ 'äöü éè ω Ж'|upper }} {{ 'élan vital'|title }} {{ 'x'.upper().lower() }} {{ ' x '.lstrip() }}|{{ 'xxyxx'.strip('x') }}|{{ ' y'.rstrip() }}|
{{ l.index(1) }} {{ [1, 1].count(1) }} {{ (1, 2).index(2) }} {{ l.copy() }} {{ [1, [2]] == [1, [2]] }} {{ {'a': 1} == {'a': 1.0} }} {{ none == undefined_x }} {{ 'a' != 'b' }} {{ (1,) == [1] }}
{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{{ add_generation_prompt }}
{% raw %}{{ raw }} {% if %}{% endraw %} {{ '}}' }} {{ {'a': {'b': 1}} }}
{% set d2 = dict(d, **{'n': 1}) %}{{ d2 }} {{ [d2]|length }} {{ d2.pop is defined }}
{% print 1, 'b' %} {{ 1, 2 }} {{ [1,2,] }} {{ {'a':1,} }}
{{ n if n else }}
{{ n is defined if n }}
{{ undefined_x.y }}
{{ undefined_x + 1 }}
{{ undefined_x['y'] }}
{{ undefined_x() }}
{{ d.zz.yy }}
{{ none.x.y }}
{{ 'a' + 1 }}
{{ 1 < 'a' }}
{{ [] + () }}
{{ 5|length }}
{{ 'abc'.nothing() }}
{{ 'a'|nothing }}
{{ 1 is nothing }}
{{ raise_exception('stop') }}
{{ 1/0 }}
{{ d.b() }}
{{ l.append(4) }}
{{ undefined_x|tojson }}
{{ range(100001) }}
{{ ''.join([1]) }}
{% for a, b in [1] %}{% endfor %}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=2) }}
{% set x.y = 1 %}
{% if %}{% endif %}
{{ 'open
{% endfor %}
{{ 1 2 }}
{% unknown %}
"""

BLOCKS = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if true -%}\n  b\n  {%- endif %}\nc\n\n",
    "  {% if true %} x {% endif %}  \n  {% if true %}\ny{% endif %}",
    "a {%+ if true %}\n b\n\t{%+ endif +%}\nc",
    "{# one #}\n  {# two #}\nx {# three -#}\n y {#- four #} z\n{#+ five +#}\nw",
    "{{ 1 }}\n{{ 2 -}}\n {{- 3 }}\n",
    "{% raw %}\n  {{ x }}\n  {% endraw %}\n  y",
    "{%- raw -%}\n  {{ x }}\n  {%- endraw -%}\n  y",
    "x\r\ny\rz\n{% set a = 1 %}\r\n{{ a }}",
    "{% for x in l %}\n  - {{ x }}\n{% endfor %}\nend",
    "{% macro a() %}\n  body\n{% endmacro %}\n[{{ a() }}]",
    "{% set t %}\n  text\n{% endset %}\n[{{ t }}]",
    "{%if true%}{{1}}{%endif%}{%- for x in l-%} {{-x-}} {%-endfor%}",
    "{{ 'a\nb' }}\n\n\n",
    "\n\n{% if true %}\n\n{% endif %}\n\n",
    "{% if true -%}\n\n  x\n\n{%- endif %}  \n y",
    "a{% if true %}\n{% endif %}\n  {{ n }}\n",
    "{% generation %}\n a\n{% endgeneration %}\nb",
]


def reference(template, variables):
    try:
        return {"text": _compile_jinja_template(template).render(**variables)}
    except Exception as error:  # whatever the engine or Python's objects raise
        return {"error": f"{type(error).__name__}: {error}"}


def vectors():
    templates = [line for line in LINES.split("\n") if line] + BLOCKS
    made = [{"template": source, **reference(source, VARIABLES)} for source in templates]
    content = {
        "origin": f"Jinja2 {jinja2.__version__} as set up by transformers {transformers.__version__}",
        "command": "tests/reference/templates.py vectors",
        "seed": "none: no chance is involved",
        "sha256": hashlib.sha256(json.dumps(made, ensure_ascii=False).encode()).hexdigest(),
        "variables": VARIABLES,
        "templates": made,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


# ---- conversations --------------------------------------------------------------------------------

TEXTS = [
    "Hi", "What is 2 + 2?", "Ünïcödé 東京 🤔", "line one\nline two\n", "  padded  ", "",
    "<｜User｜> and <｜Assistant｜>", "</s> <|im_end|> <|eot_id|>", "{{ not a template }} {% if %}",
    "quotes ' and \" and \\ back", "tabs\tand\u00a0blanks", "### Instruction:\nUser: x", "a</think>b",
]
ARGUMENTS = [
    {}, {"city": "東京", "days": 2, "ok": True, "x": None}, {"a": {"b": [1, 2.5, {"c": "\"q\"\n"}]}},
    {"code": "```py\nprint(1)\n```"}, {"n": -1.5e-7}, {"s": "<b>&'</b>"},
]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city",
     "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "Zeit & Ort <ü>",
     "parameters": {"type": "object", "properties": {}}}},
]


def conversation(rng):
    """Messages whose calls hold objects; the last may be a prefix."""
    messages = []
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        messages.append({"role": "system", "content": rng.choice(TEXTS)})
    for turn in range(rng.randint(1, 4)):
        messages.append({"role": "user", "content": rng.choice(TEXTS)})
        if rng.random() < 0.35:
            calls = [{"id": f"c{turn}{i}", "type": "function",
                      "function": {"name": rng.choice(["get_weather", "now"]),
                                   "arguments": rng.choice(ARGUMENTS)}}
                     for i in range(rng.randint(1, 3))]
            text = rng.choice([None, None, "", "Let me look."])
            messages.append({"role": "assistant", "content": text, "tool_calls": calls})
            for call in calls:
                messages.append({"role": "tool", "tool_call_id": call["id"],
                                 "content": rng.choice(TEXTS)})
            if rng.random() < 0.2:
                return messages
        answer = rng.choice(TEXTS)
        if rng.random() < 0.3:
            answer = f"<think>\n{rng.choice(TEXTS)}\n</think>\n\n{answer}"
        messages.append({"role": "assistant", "content": answer})
    if rng.random() < 0.7:
        messages.append({"role": "user", "content": rng.choice(TEXTS)})
    elif rng.random() < 0.5:
        messages[-1] = {"role": "assistant", "content": "The answer:\n```", "prefix": True}
    return messages


def with_arguments(messages, form):
    copy = json.loads(json.dumps(messages))
    for message in copy:
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = form(call["function"]["arguments"])
    return copy


def cut_behind(text, content):
    """What apply_chat_template does for continue_final_message."""
    at = text.rindex(content.strip())
    return text[: at + len(content.lstrip())]


def jobs(template, tokens, count, seed):
    rng = random.Random(seed)
    takes_objects = "arguments | tojson" in template
    for _ in range(count):
        messages = conversation(rng)
        prefix = bool(messages[-1].get("prefix"))
        options = {"add_generation_prompt": not prefix and rng.random() < 0.8}
        if rng.random() < 0.5:
            options["thinking"] = rng.random() < 0.5
        tools = rng.choice([None, TOOLS, TOOLS[:1]])
        text = lambda value: json.dumps(value, ensure_ascii=False)
        variables = {"messages": with_arguments(messages, (lambda v: v) if takes_objects else text),
                     "tools": tools, "documents": None, **options, **tokens}
        expected = reference(template, variables)
        if prefix and "text" in expected:
            expected = {"text": cut_behind(expected["text"], messages[-1]["content"])}
        job = {"template": template, "tools": tools, **options, **tokens,
               "messages": with_arguments(messages, lambda v: v if rng.random() < 0.5 else text(v))}
        yield job, expected


def published(shared):
    deepseek = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>"}
    for path in sorted(shared.glob("data/templates/*.jinja")):
        yield path.name, path.read_text(), deepseek
    for path in sorted(shared.glob("data/tokenizers/*/tokenizer_config.json")):
        config = json.loads(path.read_text())
        if not config.get("chat_template"):
            continue
        tokens = {}
        for name in ("bos_token", "eos_token"):
            value = config.get(name)
            value = value["content"] if isinstance(value, dict) else value
            if value:
                tokens[name] = value
        yield path.parent.name, config["chat_template"], tokens


def compare(program, shared, count, seed):
    bad = total = 0
    for name, template, tokens in published(shared):
        pairs = list(jobs(template, tokens, count, seed))
        lines = "".join(json.dumps(job) + "\n" for job, _ in pairs)
        run = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
        got = [json.loads(line) for line in run.stdout.splitlines()]
        wrong = errors = 0
        for (job, expected), result in zip(pairs, got, strict=True):
            errors += "error" in expected
            same = result == expected if "text" in expected else "error" in result
            if not same:
                wrong += 1
                if wrong <= 3:
                    print(f"{name}: {json.dumps(job['messages'], ensure_ascii=False)}\n"
                          f"  expected {expected}\n  got      {result}")
        print(f"{name}: {len(pairs)} conversations ({errors} refused by both), {wrong} differ")
        bad += wrong
        total += len(pairs)
    print(f"{total} conversations, {bad} differ")
    return bad == 0 and total > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("vectors")
    commands.add_parser("check")
    live = commands.add_parser("compare")
    live.add_argument("program")
    live.add_argument("shared", type=pathlib.Path)
    live.add_argument("--count", type=int, default=500)
    live.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if arguments.command == "vectors":
        VECTORS.write_text(vectors())
        return 0
    if arguments.command == "check":
        if VECTORS.read_text() == vectors():
            return 0
        print(f"{VECTORS} differs from what this machine's engine renders")
        return 1
    return 0 if compare(arguments.program, arguments.shared, arguments.count, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
