"""What Python's collector looks through in a server, each in a process of its own: it is a state of the process."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run(code: str) -> str:
    script = "import gc, weakref\nfrom fairlead.engine import garbage\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CYCLE = """
class Model: pass
model = Model()
model.itself = model
left = weakref.ref(model)
"""


def test_a_collection_does_not_look_through_what_was_loaded() -> None:
    code = "garbage.begin(); garbage.set_aside(); garbage.end_of_start()"
    assert run(f"{code}; print(len(gc.get_objects()) < 100)") == "True"


def test_a_model_that_leaves_is_found_although_it_was_set_aside() -> None:
    code = f"garbage.begin(){CYCLE}garbage.set_aside()\ndel model\ngc.collect()\nkept = left() is not None\n"
    seen = "garbage.collect(); print(kept, left() is None, gc.get_freeze_count() > 0)"
    assert run(code + seen) == "True True True"


def test_after_the_start_python_looks_as_often_as_before() -> None:
    code = "usual = gc.get_threshold(); garbage.begin(); rarely = gc.get_threshold(); garbage.end_of_start()"
    assert run(f"{code}; print(rarely[0] > usual[0], gc.get_threshold() == usual)") == "True True"


def test_a_program_that_is_no_server_keeps_its_collector_as_it_is() -> None:
    code = f"usual = gc.get_threshold(){CYCLE}garbage.set_aside(); garbage.end_of_start()\ndel model\n"
    seen = "garbage.collect(); print(left() is None, gc.get_freeze_count(), gc.get_threshold() == usual)"
    assert run(code + seen) == "True 0 True"
