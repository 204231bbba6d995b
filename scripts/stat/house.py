#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The house: who calls whom, and from where to a sleep. house.py prints what is wrong; `make stat` has
it as rows.

Read from clang's syntax trees of all kernel sources, so a function of a header stands where it is
written, whether it is inlined or not. A call through a pointer goes to each function whose address
comes to that variable or field: by an initializer, an assignment, an argument, or a table that the
linker collects. What assembly calls is not seen: it only enters at floor 5.

Three rules (scripts/stat/floors.json has the floors and the exceptions):
* A call goes to the same floor or down. A call through a pointer may go up: that is what
  registering is for.
* Files do not call each other in a circle; x.c, x.h and x.S are one.
* From a section with preemption or interrupts off no call leads to a sleep, nor to a spinlock_t,
  which may sleep; and from under a spinlock_t none leads to a sleep.
"""
import collections
import fnmatch
import glob
import json
import os
import re
import sys

sys.path.append("/usr/lib/python3/dist-packages")       # if this python3 is not the system's

try:
    from clang import cindex
    from clang.cindex import CursorKind, TypeKind
except ImportError:
    cindex = None

KERNEL_DIRS = ("boot", "arch", "kernel", "lib")
FLAGS = ("-std=gnu11 -ffreestanding -fno-pic -mcmodel=kernel -mgeneral-regs-only -I. "
         "-Ibuild/include").split()
RULES = "scripts/stat/floors.json"

# --- What turns a context on and off. One letter: "p" preemption off, "i" interrupts off, "s" under
# a spinlock_t. Inside of these functions nothing is looked for: they are what the rule is made of.
SECTIONS = {
    "p": ("preempt_disable local_bh_disable fpregs_lock kernel_fpu_begin preempt_count_add "
          "raw_spin_lock raw_spin_lock_irq raw_spin_lock_irqsave task_rq_lock report_begin",
          "preempt_enable preempt_enable_no_resched local_bh_enable fpregs_unlock kernel_fpu_end "
          "preempt_count_sub raw_spin_unlock raw_spin_unlock_irq raw_spin_unlock_irqrestore "
          "report_end"),
    "i": ("local_irq_disable local_irq_save raw_local_irq_save",
          "local_irq_enable local_irq_restore raw_local_irq_restore"),
    "s": ("spin_lock spin_lock_irq", "spin_unlock spin_unlock_irq"),
}
ON = {name: kind for kind, (names, _) in SECTIONS.items() for name in names.split()}
OFF = {name: kind for kind, (_, names) in SECTIONS.items() for name in names.split()}
TRY = {"raw_spin_trylock"}              # on, if it says true
SLEEPS = {"schedule", "schedule_rtlock", "__might_sleep", "__might_resched"}
# Their own ways to schedule() are what the rule allows, or the end of the machine.
NEVER_SLEEP = {"preempt_schedule", "preempt_schedule_irq", "panic", "die"}
NO_SLEEP_ARGUMENT = "GFP_ATOMIC"        # an allocation that says so does not sleep


class NoClang(Exception):
    """libclang, or what it needs, is not here: one line."""


def children(cursor):
    return list(cursor.get_children())


def bare(cursor):
    """@cursor without parentheses and conversions around it."""
    while cursor.kind in (CursorKind.UNEXPOSED_EXPR, CursorKind.PAREN_EXPR) and \
            len(children(cursor)) == 1:
        cursor = children(cursor)[0]
    return cursor


def usr(declaration):
    """Its name for all files; local variables have none, so theirs is where they stand."""
    place = declaration.location
    return declaration.get_usr() or f"{place.file}:{place.offset}"


def called(cursor):
    """
    What an expression names or leads to: the declaration's usr() (a function's, a variable's, a
    field's), or None. Of p->f it is f, of *p, &p, p[i] it is p.
    """
    while True:
        cursor = bare(cursor)
        if cursor.kind in (CursorKind.DECL_REF_EXPR, CursorKind.MEMBER_REF_EXPR):
            return usr(cursor.referenced) if cursor.referenced else None
        parts = children(cursor)
        if not parts or cursor.kind == CursorKind.CALL_EXPR:
            return None
        cursor = parts[0 if cursor.kind == CursorKind.ARRAY_SUBSCRIPT_EXPR else -1]


class Function:
    def __init__(self, cursor):
        self.cursor, self.name = cursor, cursor.spelling
        self.path = os.path.normpath(cursor.location.file.name)
        self.unit = re.sub(r"\.[chS]$", "", self.path)
        self.calls = []                 # (the call, USRs that it may call, is it by a pointer?)


# What LATE_INIT() and ON_TICK() make, and the table that the linker makes of it.
TABLES = {"__late_init_": "__start_lateinits", "__on_tick_": "__start_ontick"}


class Flow:
    """
    Where addresses of functions go: from function, variable, field or parameter to another. The
    n-th argument of a call goes to the n-th parameter, whichever file defines the function.
    """

    def __init__(self):
        self.to = collections.defaultdict(set)

    def note(self, source, target):
        source = called(source)
        if source and target:
            self.to[target].add(source)

    def initializer(self, cursor, target, kind):
        """@cursor initializes @target, which is of the type @kind."""
        if cursor.kind != CursorKind.INIT_LIST_EXPR:
            self.note(cursor, target)
            return
        kind = kind.get_canonical()
        fields = list(kind.get_fields()) if kind.kind == TypeKind.RECORD else []
        for place, part in enumerate(children(cursor)):
            inner = children(part)
            if inner and inner[0].kind == CursorKind.MEMBER_REF:
                field, part = inner[0].referenced, inner[-1]
            else:
                field = fields[place] if place < len(fields) else None
            if field:
                self.initializer(part, usr(field), field.type)
            elif kind.kind in (TypeKind.CONSTANTARRAY, TypeKind.INCOMPLETEARRAY):
                self.initializer(part, target, kind.element_type)

    def read(self, cursor):
        parts = children(cursor)
        if cursor.kind == CursorKind.VAR_DECL and parts:
            target = usr(cursor)
            for prefix, table in TABLES.items():
                target = "c:@" + table if cursor.spelling.startswith(prefix) else target
            self.initializer(bare(parts[-1]), target, cursor.type)
        elif cursor.kind == CursorKind.COMPOUND_LITERAL_EXPR and parts:
            self.initializer(bare(parts[-1]), None, cursor.type)
        elif cursor.kind == CursorKind.BINARY_OPERATOR and len(parts) == 2:
            self.note(parts[1], called(parts[0]))
        elif cursor.kind == CursorKind.CALL_EXPR and parts and cursor.referenced and \
                cursor.referenced.kind == CursorKind.FUNCTION_DECL:
            for number, argument in enumerate(parts[1:]):
                self.note(argument, f"{usr(cursor.referenced)}#{number}")
        elif cursor.kind == CursorKind.FUNCTION_DECL:
            for number, parameter in enumerate(cursor.get_arguments()):
                self.to[usr(parameter)].add(f"{usr(cursor)}#{number}")

    def functions(self, target, functions):
        """Of the USRs @functions, those that come to @target, on whatever way."""
        seen, todo = {target}, [target]
        for place in todo:
            todo += self.to[place] - seen
            seen |= self.to[place]
        return seen & functions


class House:
    """All functions, by their usr(), and their calls."""

    def __init__(self):
        if not cindex:
            raise NoClang("no clang for Python; 'scripts/deps.sh libclang' installs it")
        self.functions, self.flow = {}, Flow()
        index = cindex.Index.create()
        self.units = [self.parse(index, path) for top in KERNEL_DIRS
                      for path in sorted(glob.glob(f"{top}/**/*.c", recursive=True))]
        for unit in self.units:
            for cursor in children(unit.cursor):
                if cursor.kind == CursorKind.FUNCTION_DECL and cursor.is_definition():
                    self.functions.setdefault(cursor.get_usr(), Function(cursor))
                elif cursor.kind == CursorKind.VAR_DECL:
                    self.flow.read(cursor)
        for function in self.functions.values():
            self.read(function.cursor, function)
        for function in self.functions.values():
            function.calls = [self.resolved(*call) for call in function.calls]

    @staticmethod
    def parse(index, path):
        try:
            unit = index.parse(path, args=FLAGS)
        except cindex.TranslationUnitLoadError:
            raise NoClang(f"libclang cannot read {path}") from None
        wrong = [str(d) for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if wrong:
            raise NoClang(f"libclang: {wrong[0]}")
        return unit

    def read(self, cursor, function):
        """Notes calls, and what goes where, in @cursor, part of @function."""
        self.flow.read(cursor)
        if cursor.kind == CursorKind.CALL_EXPR and children(cursor):
            function.calls.append((cursor, called(children(cursor)[0])))
        for part in children(cursor):
            self.read(part, function)

    def resolved(self, cursor, what):
        if what in self.functions:
            return cursor, {what}, False
        declared = cursor.referenced and cursor.referenced.kind == CursorKind.FUNCTION_DECL
        names = set() if declared else self.flow.functions(what, self.functions.keys())
        return cursor, names, not declared

    def calls(self):
        """(caller, callee, line, through a pointer?), each a Function."""
        for function in self.functions.values():
            for cursor, names, pointer in function.calls:
                for name in names:
                    yield function, self.functions[name], cursor.location.line, pointer


# --- The floors, and circles ---

def load_rules():
    with open(RULES, encoding="utf-8") as file:
        return json.load(file)


def floor_of(path, rules):
    return next((floor for pattern, floor in rules["floors"] if fnmatch.fnmatchcase(path, pattern)),
                None)


def excused(rules, caller, callee):
    """The exceptions that allow this call."""
    return [rule for rule in rules if fnmatch.fnmatchcase(callee.name, rule["to"]) and
            (fnmatch.fnmatchcase(caller.path, rule["from"]) or caller.name == rule["from"])]


def calls_up(house, rules):
    """Texts of the calls that go up, and the exceptions that were needed."""
    up, needed = set(), []
    for caller, callee, _, pointer in house.calls():
        here, there = floor_of(caller.path, rules), floor_of(callee.path, rules)
        if pointer or here is None or there is None or here >= there:
            continue
        reasons = excused(rules["may_go_up"], caller, callee)
        needed += [reason for reason in reasons if reason not in needed]
        if not reasons:
            up.add(f"{caller.path} ({here}): {caller.name} -> {callee.name}, {callee.path} "
                   f"({there})")
    return sorted(up), needed


def registered(house, rules):
    """Texts of the calls up through pointers: file -> files."""
    found = collections.defaultdict(set)
    for caller, callee, _, pointer in house.calls():
        if pointer and floor_of(caller.path, rules) < floor_of(callee.path, rules):
            found[f"{caller.path}: {caller.name}"].add(callee.name)
    return [f"{caller} -> {', '.join(sorted(names))}" for caller, names in sorted(found.items())]


def circles(house, rules):
    """Sets of units that call each other in a circle (Tarjan), with a call of each pair."""
    graph, example = collections.defaultdict(set), {}
    for caller, callee, _, pointer in house.calls():
        if caller.unit != callee.unit and not pointer and \
                not excused(rules["may_go_up"], caller, callee):
            graph[caller.unit].add(callee.unit)
            example.setdefault((caller.unit, callee.unit), f"{caller.name} -> {callee.name}")
    order, low, stack, found = {}, {}, [], []

    def visit(unit):
        order[unit] = low[unit] = len(order)
        stack.append(unit)
        for other in sorted(graph.get(unit, ())):
            if other not in order:
                visit(other)
            if other in stack:
                low[unit] = min(low[unit], low[other])
        if low[unit] == order[unit]:
            circle = stack[stack.index(unit):]
            del stack[stack.index(unit):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for unit in sorted(graph):
        if unit not in order:
            visit(unit)
    return [(circle, [f"{a}: {example[a, b]} ({b})" for a in circle
                      for b in sorted(graph[a] & set(circle))])
            for circle in sorted(found, key=len, reverse=True)]


# --- From a section to a sleep ---

class State(collections.namedtuple("State", "p i s")):
    """How many sections of each kind are open; i is 0 or more, and an enable makes it 0."""

    def after(self, name):
        if name in ON:
            return self._replace(**{ON[name]: getattr(self, ON[name]) + 1})
        if name == "local_irq_enable":
            return self._replace(i=0)
        if name in OFF:
            return self._replace(**{OFF[name]: max(0, getattr(self, OFF[name]) - 1)})
        return self


NONE_OPEN = State(0, 0, 0)
LOOPS = ("WHILE_STMT", "FOR_STMT", "DO_STMT")


class Walk:
    """
    Goes through a function once, as it is written, with the sections that are open at each call. A
    branch that ends in return, break or goto does not count behind it; of two that go on, the one
    that opened or closed something does.
    """

    def __init__(self, function, at_call):
        self.function, self.at_call, self.labels = function, at_call, {}
        self.called = {call[0].hash: call[1] for call in function.calls}
        for part in children(function.cursor):
            if part.kind == CursorKind.COMPOUND_STMT:
                self.step(part, NONE_OPEN)

    def step(self, cursor, state):
        """The state behind @cursor; None: nothing goes on there."""
        special = getattr(self, cursor.kind.name.lower(), None)
        if special:
            return special(cursor, state)
        if cursor.kind.name in LOOPS:
            self.each(cursor, state)
            return state
        return self.each(cursor, state)

    def each(self, cursor, state):
        for part in children(cursor):
            after = self.step(part, state)
            state = state if after is None else after
        return state

    def compound_stmt(self, cursor, state):
        for part in children(cursor):
            if state is not None or part.kind == CursorKind.LABEL_STMT:
                state = self.step(part, state)
        return state

    def label_stmt(self, cursor, state):
        came = self.labels.get(cursor.spelling, NONE_OPEN)
        return self.each(cursor, came if state is None else state)

    def goto_stmt(self, cursor, state):
        for label in children(cursor):
            self.labels[label.spelling] = state

    def return_stmt(self, cursor, state):
        self.each(cursor, state)

    def break_stmt(self, cursor, state):
        pass

    continue_stmt = break_stmt

    def if_stmt(self, cursor, state):
        condition, *branches = children(cursor)
        state = self.step(condition, state)
        yes = no = state
        if held := self.tried(condition):
            yes, no = (state._replace(p=state.p + (held == when)) for when in ("yes", "no"))
        yes = self.step(branches[0], yes)
        no = self.step(branches[1], no) if len(branches) > 1 else no
        if yes is None or no is None:
            return no if yes is None else yes
        return yes if yes != state else no

    def tried(self, condition):
        """In which branch a lock is held, if the condition is a trylock: yes, no or None."""
        condition, held = bare(condition), "yes"
        while condition.kind == CursorKind.UNARY_OPERATOR:
            condition, held = bare(children(condition)[0]), "no" if held == "yes" else "yes"
        is_try = condition.kind == CursorKind.CALL_EXPR and condition.spelling in TRY
        return held if is_try else None

    def switch_stmt(self, cursor, state):
        value, body = children(cursor)[0], children(cursor)[-1]
        state = self.step(value, state)
        last = ends = None
        for part in children(body):
            if part.kind == CursorKind.BREAK_STMT:
                ends, last = last if ends is None else ends, None
            while part.kind in (CursorKind.CASE_STMT, CursorKind.DEFAULT_STMT):
                part, last = children(part)[-1], state
            last = last and self.step(part, last)
        return last or ends or state

    def call_expr(self, cursor, state):
        state = self.each(cursor, state)
        names = self.called.get(cursor.hash, ())
        self.at_call(self.function, cursor, names, state)
        return state.after(cursor.spelling)


def is_atomic_call(cursor):
    return any(token.spelling == NO_SLEEP_ARGUMENT for token in cursor.get_tokens())


def ways(house, walls, ends):
    """usr() -> the names on a way from there to one of @ends. @walls: exceptions, not gone by."""
    way = {name: [f.name] for name, f in house.functions.items() if f.name in ends}
    callers = collections.defaultdict(set)
    for caller, function in house.functions.items():
        for cursor, names, _ in function.calls:
            for name in names:
                if not (is_atomic_call(cursor) or function.name in NEVER_SLEEP | OFF.keys() or
                        excused(walls, function, house.functions[name])):
                    callers[name].add(caller)
    todo = list(way)
    for name in todo:
        for caller in sorted(callers[name]):
            if caller not in way:
                way[caller] = [house.functions[caller].name, *way[name]]
                todo.append(caller)
    return way


def sleeps(house, rules):
    """function -> its calls that lead from a section to a sleep; and exceptions not needed."""
    walls = rules["may_reach"]
    real = ways(house, walls, SLEEPS)
    any_lock = ways(house, walls, SLEEPS | set(SECTIONS["s"][0].split()))
    found = collections.defaultdict(list)

    def at_call(function, cursor, names, state):
        for name in names:
            callee = house.functions[name]
            if callee.name in OFF or ON.get(callee.name, "s") != "s" or is_atomic_call(cursor) or \
                    excused(walls, function, callee):
                continue
            way = any_lock if state.p or state.i else real if state.s else {}
            if name in way:
                found[function.name].append(
                    f"{function.path}:{cursor.location.line}: {function.name} -> "
                    f"{' -> '.join(way[name])}")

    for function in house.functions.values():
        if function.name not in ON.keys() | OFF.keys() | TRY:
            Walk(function, at_call)
    needed = [rule for caller, callee, _, _ in house.calls()
              for rule in excused(walls, caller, callee)]
    return found, [rule for rule in walls if rule not in needed]


def rows(house, rules):
    """(what, most that there may be, how many there are, texts) for `make stat`."""
    homeless = sorted({f.path for f in house.functions.values()
                       if floor_of(f.path, rules) is None})
    yield "files without a floor (scripts/stat/floors.json)", 0, len(homeless), homeless
    lost = sorted(f"{f.path}: {f.name}: {cursor.spelling}" for f in house.functions.values()
                  for cursor, names, pointer in f.calls if pointer and not names)
    yield "calls through a pointer that only tests set", 2, len(lost), lost
    up, needed = calls_up(house, rules)
    yield "calls that go up", 0, len(up), up
    yield ("calls that go up for a reason", None, len(needed),
           [f"{rule['from']} -> {rule['to']}: {rule['why']}" for rule in needed])
    handed = registered(house, rules)
    yield "functions that call up what was registered with them", None, len(handed), handed
    found = circles(house, rules)
    yield ("circles of files that call each other", 0, len(found),
           [f"{len(circle)} files: {', '.join(circle)}" for circle, _ in found])
    ways_found, idle = sleeps(house, rules)
    yield ("functions that may sleep with preemption off (fpu_clone_buggy)", 1, len(ways_found),
           [text for name in sorted(ways_found) for text in ways_found[name]])
    idle += [rule for rule in rules["may_go_up"] if rule not in needed]
    yield ("reasons that no call needs any more", 0, len(idle),
           [f"{rule['from']} -> {rule['to']}" for rule in idle])


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    house, rules = House(), load_rules()
    for what, most, count, texts in rows(house, rules):
        print(f"{what}: {count}" + ("" if most is None else f" of {most}"))
        for text in texts:
            print(f"    {text}")
    if "-v" in sys.argv:
        for circle, calls in circles(house, rules):
            print(f"{len(circle)} files:\n    " + "\n    ".join(calls))


if __name__ == "__main__":
    try:
        main()
    except NoClang as error:
        sys.exit(f"splat: {error}")
