#!/usr/bin/env python3
"""Checks the dependency rules of docs/architecture.md, "Rooms".

Run alone it prints what is wrong and exits 1; pytest collects the same checks. `check(root)` takes
any tree, so the tests below also prove that each rule can fail.
"""
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ["core", "name", "crypto", "wire", "trust", "measure", "linkstate", "routing", "forwarding",
         "runtime", "dataplane", "node", "client"]
PURE = ROOMS[:9]
CLIENT_MAY = {"core", "name", "wire", "client"}
DAEMONS = ["sgd", "srd", "spad", "scscd"]
MAX_LINES = 500
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.M)
IMPURE = re.compile(
    r'#\s*include\s*<(boost/asio|grpcpp|grpc/|spdlog|sys/socket|netinet|sys/epoll|thread|mutex|'
    r'shared_mutex|condition_variable|future|random|google/protobuf)'
    r'|::now\(|std::(thread|mutex|jthread|condition_variable|random_device)\b|\brand\(\)')
SHORT_ROOMS = ["forwarding", "dataplane"]  # a packet's way, which everybody must be able to read
MAX_FUNCTION = 40
QUOTED = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'')
SOURCE = {".cpp", ".hpp", ".h", ".cc", ".py", ".sh"}


def sources(root, folder):
    base = root / folder
    return sorted(p for p in base.rglob("*") if p.suffix in SOURCE and p.is_file()) if base.exists() else []


def strip_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def bare(text):
    """The code alone, every line in its place: no comments, quoted text or preprocessor lines."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    text = re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)
    return re.sub(r"^\s*#[^\n]*", blank, QUOTED.sub(blank, text), flags=re.M)


def functions(text):
    """(first line, number of lines, head) of every function at namespace or class level."""
    text, found, stack, head_at = bare(text), [], [], 0
    for at, char in enumerate(text):
        if char == "{":
            head = text[head_at:at].strip()
            outer = all(kind == "scope" for kind, _, _ in stack)
            scope = re.search(r"\b(namespace|extern|class|struct|union|enum)\b[^()]*$", head)
            kind = "scope" if outer and scope else "body" if outer else "inner"
            stack.append((kind, head_at + len(text[head_at:at]) - len(text[head_at:at].lstrip()), head))
        elif char == "}" and stack:
            kind, start, head = stack.pop()
            if kind == "body" and "(" in head:
                first = text.count("\n", 0, start) + 1
                found.append((first, text.count("\n", start, at) + 1, " ".join(head.split())))
        if char in ";{}" and all(kind == "scope" for kind, _, _ in stack):
            head_at = at + 1
    return found


def check_functions(root, errors):
    for room in SHORT_ROOMS:
        for path in sources(root, f"libdmsc/dmsc/{room}"):
            for first, lines, head in functions(path.read_text()):
                if lines > MAX_FUNCTION:
                    errors.append(f"{path.relative_to(root)}:{first}: {lines} lines, at most {MAX_FUNCTION} "
                                  f"in a function of this room: {head[:60]}")


def check_room(root, path, room, errors):
    text = strip_comments(path.read_text())
    rel = path.relative_to(root)
    for include in INCLUDE.findall(text):
        if not include.startswith("dmsc/") or include.startswith("dmsc/v1/"):
            if room in PURE and include.startswith("dmsc/v1/"):
                errors.append(f"{rel}: pure room includes generated {include}")
            continue
        other = include.split("/")[1]
        if other not in ROOMS:
            errors.append(f"{rel}: includes unknown room '{other}'")
        elif room == "client" and other not in CLIENT_MAY:
            errors.append(f"{rel}: client may include only core, name, wire, not '{other}'")
        elif ROOMS.index(other) > ROOMS.index(room):
            errors.append(f"{rel}: '{room}' includes '{other}', a room above it")
    if room in PURE:
        for match in IMPURE.finditer(text):
            errors.append(f"{rel}: impure in a pure room: {match.group(0).strip()}")


def check(root):
    """All violations in the tree below `root`, as lines of text."""
    errors = []
    lib = root / "libdmsc" / "dmsc"
    for folder in sorted(p for p in lib.iterdir() if p.is_dir()) if lib.exists() else []:
        if folder.name not in ROOMS:
            errors.append(f"libdmsc/dmsc/{folder.name}: unknown room")
            continue
        for path in sources(root, folder.relative_to(root)):
            check_room(root, path, folder.name, errors)
    check_functions(root, errors)
    for daemon in DAEMONS:
        for path in sources(root, f"daemons/{daemon}"):
            for include in INCLUDE.findall(path.read_text()):
                for other in DAEMONS:
                    if other != daemon and include.startswith(other + "/"):
                        errors.append(f"{path.relative_to(root)}: {daemon} includes daemon {other}")
    for path in sources(root, "tools"):
        for include in INCLUDE.findall(path.read_text()) if path.suffix != ".py" else []:
            if include.startswith("tests/"):
                errors.append(f"{path.relative_to(root)}: a tool includes {include}")
    for top in ["libdmsc", "daemons", "tools", "tests", "cmake"]:
        for path in sources(root, top):
            lines = path.read_text().count("\n")
            if lines > MAX_LINES:
                errors.append(f"{path.relative_to(root)}: {lines} lines, at most {MAX_LINES}")
    return errors


def planted(files):
    with tempfile.TemporaryDirectory() as tmp:
        for name, text in files.items():
            path = Path(tmp) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(Path(tmp))


def test_tree_obeys_the_rules():
    assert check(ROOT) == []


def test_each_rule_can_fail():
    lib = "libdmsc/dmsc/"
    assert "room above" in planted({lib + "core/a.hpp": '#include "dmsc/name/name.hpp"\n'})[0]
    assert "unknown room" in planted({lib + "misc/a.hpp": ""})[0]
    assert "unknown room" in planted({lib + "core/a.hpp": '#include "dmsc/misc/x.hpp"\n'})[0]
    assert "impure" in planted({lib + "routing/a.cpp": "auto t = Clock::now();\n"})[0]
    assert "impure" in planted({lib + "wire/a.cpp": "#include <mutex>\n"})[0]
    assert "impure" in planted({lib + "wire/a.cpp": "#include <grpcpp/grpcpp.h>\n"})[0]
    assert "only core" in planted({lib + "client/a.cpp": '#include "dmsc/node/x.hpp"\n'})[0]
    assert "includes daemon" in planted({"daemons/sgd/a.cpp": '#include "srd/x.hpp"\n'})[0]
    assert "a tool includes" in planted({"tools/x/a.cpp": '#include "tests/x.hpp"\n'})[0]
    body = "  f();\n" * 38
    long = 'namespace a {\nclass B {\n  int c(int d) const {\n' + body + '    // }\n    s = "}";\n  }\n};\n}\n'
    assert planted({lib + "forwarding/a.cpp": long.replace('    // }\n    s = "}";\n', "")}) == []
    assert "a.cpp:3: 42 lines" in planted({lib + "forwarding/a.cpp": long})[0]
    assert planted({lib + "routing/a.cpp": long}) == []
    assert "501 lines" in planted({"tools/x/a.cpp": "\n" * 501})[0]


if __name__ == "__main__":
    found = check(ROOT)
    print("\n".join(found) if found else "layout: ok")
    sys.exit(1 if found else 0)
