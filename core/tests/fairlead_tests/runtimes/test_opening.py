"""Opening model files: what a load raises, and what it warns of."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from fairlead import Library, UnpicklingPolicy, errors
from fairlead.runtimes import opening

NUMPY = Library("numpy", "numpy")


def failure(path: Path, error: BaseException, library: Library = NUMPY, **known: Any) -> errors.ModelLoadError:
    with pytest.raises(errors.ModelLoadError) as caught, opening.guarded(path, library, plugin="tensors", **known):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "model.bin"
    made.write_bytes(b"content")
    return made


class Warner:
    """Warns as it is unpickled."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        warnings.warn("the moon is\nfull", UserWarning, stacklevel=2)


def test_any_exception_becomes_a_load_error_with_the_files_name_and_what_to_do(path: Path) -> None:
    error = failure(path, ValueError("wrong magic number."))
    assert error.reason == "model.bin does not load: ValueError: wrong magic number."
    assert error.remedy == "Check that the file is whole, and that it is one for the runtime tensors."


def test_errors_of_the_projects_own_and_those_of_memory_stay_what_they_are(path: Path) -> None:
    for error in (errors.ArtifactMissing("no such file"), MemoryError()):
        with pytest.raises(type(error)) as caught, opening.guarded(path, NUMPY, plugin="tensors"):
            raise error
        assert caught.value is error


def test_an_interrupt_is_no_failure_of_the_load(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opening.guarded(path, NUMPY, plugin="tensors"):
        raise KeyboardInterrupt


def test_an_empty_file_is_said_to_be_empty(path: Path) -> None:
    path.write_bytes(b"")
    assert failure(path, EOFError()).reason == "model.bin is empty."


def test_a_folder_and_a_file_that_is_gone_are_explained_too(tmp_path: Path) -> None:
    assert "does not load: OSError: no graph" in str(failure(tmp_path, OSError("no graph")))
    assert "gone does not load: FileNotFoundError" in str(failure(tmp_path / "gone", FileNotFoundError("gone")))


def test_another_version_than_the_installed_is_named_with_the_way_to_install_it(path: Path) -> None:
    error = failure(path, ValueError("no such field"), recorded="1.2.3")
    assert error.reason == (
        f"model.bin was saved with numpy 1.2.3 and does not load with {np.__version__} (ValueError: no such field)."
    )
    assert error.remedy == f"Try: pip install numpy==1.2.3; or save the model again with {np.__version__}."


def test_the_recorded_version_is_read_only_when_the_load_fails(path: Path) -> None:
    asked = []

    def recorded() -> str | None:
        asked.append(path)
        return np.__version__

    with opening.guarded(path, NUMPY, plugin="tensors", recorded=recorded):
        pass
    assert asked == []
    assert "is whole" in str(failure(path, ValueError(), recorded=recorded))
    assert asked == [path]


def test_a_version_that_cannot_be_read_does_not_hide_why_the_load_failed(path: Path) -> None:
    def recorded() -> str | None:
        raise OSError("no such field")

    assert "ValueError: wrong magic" in str(failure(path, ValueError("wrong magic"), recorded=recorded))


def test_the_distribution_that_is_installed_is_the_one_to_install_another_version_of(path: Path) -> None:
    library = Library("numpy-of-another-name", "numpy", alternatives=("numpy",))
    assert "pip install numpy==1.2.3" in str(failure(path, ValueError(), library, recorded="1.2.3"))


def test_a_missing_library_is_named_with_the_way_to_install_it(path: Path) -> None:
    library = Library("distribution-that-is-gone", "package_that_is_gone")
    error = failure(path, ModuleNotFoundError("No module", name="package_that_is_gone.core"), library, recorded="1.0")
    assert "The runtime tensors needs distribution-that-is-gone for model.bin, which is not installed" in error.reason
    assert error.remedy == "Try: pip install distribution-that-is-gone"


def test_another_missing_package_is_named(path: Path) -> None:
    error = failure(path, ModuleNotFoundError("No module", name="package_that_is_gone"))
    assert "model.bin needs the package 'package_that_is_gone', which is not installed" in error.reason


def test_a_missing_library_is_installed_by_what_its_runtime_names(path: Path) -> None:
    library = Library("distribution-that-is-gone", "package_that_is_gone", hint="runtime-that-is-here[cpu]")
    error = failure(path, ModuleNotFoundError("No module", name="package_that_is_gone"), library)
    assert error.remedy == "Try: pip install 'runtime-that-is-here[cpu]'"


def test_a_missing_package_that_an_extra_of_the_runtime_brings_is_installed_by_it(path: Path) -> None:
    extras = {"package_that_is_gone": "runtime-that-is-here[estimators]"}
    error = failure(path, ModuleNotFoundError("No module", name="package_that_is_gone.core"), extras=extras)
    assert error.remedy == "Try: pip install 'runtime-that-is-here[estimators]'"


def test_a_module_that_an_installed_package_does_not_have_is_named(path: Path) -> None:
    error = failure(path, ModuleNotFoundError("No module", name="numpy.gone"))
    assert f"needs the module 'numpy.gone', which the installed numpy {np.__version__} does not have" in error.reason
    assert "the installed json does not have" in str(failure(path, ModuleNotFoundError("No", name="json.gone")))


def test_a_module_without_a_spec_is_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_by_hand", types.ModuleType("made_by_hand"))
    error = failure(path, ModuleNotFoundError("No module", name="made_by_hand.gone"))
    assert "which the installed made_by_hand does not have" in error.reason


def test_a_class_of_the_script_that_saved_the_file_is_explained(path: Path) -> None:
    path.write_bytes(b"\x80\x04c__main__\nclean_that_is_not_there\n.")
    with pytest.raises(errors.ModelLoadError) as caught, opening.guarded(path, NUMPY, plugin="tensors"):
        pickle.loads(path.read_bytes())
    assert "uses a class or function of the script that saved it" in caught.value.reason
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith("Move it to a module that is installed")


@pytest.mark.parametrize("error", [KeyError(255), pickle.UnpicklingError("invalid load key, '{'.")], ids=repr)
def test_what_is_no_pickle_is_doubted_to_be_one(path: Path, error: Exception) -> None:
    assert failure(path, error).reason.endswith("; is it a pickle at all?")


def test_a_missing_key_is_not_taken_for_an_opcode(path: Path) -> None:
    assert failure(path, KeyError("weights")).reason == "model.bin does not load: KeyError: 'weights'."
    assert failure(path, KeyError()).reason == "model.bin does not load: KeyError:."


def test_a_native_stack_is_left_out_and_a_long_text_is_cut(path: Path) -> None:
    assert failure(path, ValueError("bad input\nStack trace:\n  [bt] (0) lib.so")).reason.endswith("bad input.")
    assert len(failure(path, ValueError("x" * 100_000)).reason) < 3000


# -- warnings -------------------------------------------------------------------------------------------


def test_warnings_become_notes_of_one_line_and_each_is_there_once(path: Path) -> None:
    with opening.guarded(path, NUMPY, plugin="tensors") as notes:
        for _ in range(2):
            warnings.warn("the moon is\n  full", UserWarning, stacklevel=1)
        warnings.warn("it is late", DeprecationWarning, stacklevel=1)
        assert notes == []
    assert notes == ["Warning at load: the moon is full", "Warning at load: it is late"]


def test_a_warning_that_the_runtime_takes_is_no_note(path: Path) -> None:
    taken = []

    def takes(warning: Warning) -> bool:
        taken.append(str(warning))
        return isinstance(warning, FutureWarning)

    with opening.guarded(path, NUMPY, plugin="tensors", takes=takes) as notes:
        warnings.warn("a", FutureWarning, stacklevel=1)
        warnings.warn("b", UserWarning, stacklevel=1)
    assert taken == ["a", "b"]
    assert notes == ["Warning at load: b"]


def test_a_runtime_may_hand_a_part_to_another_while_it_loads(path: Path) -> None:
    with opening.guarded(path, NUMPY, plugin="outer") as outer:
        with opening.guarded(path, NUMPY, plugin="inner") as inner:
            warnings.warn("of the inner", UserWarning, stacklevel=1)
        warnings.warn("of the outer", UserWarning, stacklevel=1)
    assert inner == ["Warning at load: of the inner"]
    assert outer == ["Warning at load: of the outer"]


def test_models_that_load_at_once_get_their_own_warnings(path: Path) -> None:
    found: dict[str, list[str]] = {}

    def load(name: str) -> None:
        with opening.guarded(path, NUMPY, plugin=name) as notes:
            for count in range(20):
                warnings.warn(f"{name} {count}", UserWarning, stacklevel=1)
        found[name] = notes

    threads = [threading.Thread(target=load, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [f"Warning at load: {name} {count}" for count in range(20)] for name in ("a", "b", "c")}


# -- pickles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("xz", 3)], ids=str)
def test_pickles_and_joblib_files_are_opened_through_the_policy(tmp_path: Path, compress: Any) -> None:
    path = tmp_path / "model.pkl"
    joblib.dump({"weights": np.arange(3)}, path, compress=compress)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    for policy in ("allow", digest):
        assert opening.unpickle(path, UnpicklingPolicy.parse(policy))["weights"].tolist() == [0, 1, 2]
    for policy in ("deny", f"sha256:{'0' * 64}"):
        with pytest.raises(errors.UnpicklingRefused):
            opening.unpickle(path, UnpicklingPolicy.parse(policy))


def test_what_a_pickle_warns_of_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    warner = Warner()
    warner.__dict__["fitted"] = True
    path.write_bytes(pickle.dumps(warner))
    with opening.guarded(path, NUMPY, plugin="tensors") as notes:
        assert isinstance(opening.unpickle(path, UnpicklingPolicy()), Warner)
    assert notes == ["Warning at load: the moon is full"]


WITHOUT_JOBLIB = """
import json, pathlib, sys
sys.modules["joblib"] = None
from fairlead import UnpicklingPolicy
from fairlead.runtimes import opening
print(json.dumps([opening.unpickle(pathlib.Path(path), UnpicklingPolicy()) for path in sys.argv[1:]]))
"""


def test_without_joblib_pickles_are_read_all_the_same_and_compressed_ones_too(tmp_path: Path) -> None:
    paths = []
    for compress in (0, 3, "gzip", "bz2", "lzma", "xz"):
        paths.append(str(tmp_path / f"{compress}.pkl"))
        joblib.dump({"a": [1, 2]}, paths[-1], compress=compress if isinstance(compress, int) else (compress, 3))
    command = [sys.executable, "-c", WITHOUT_JOBLIB, *paths]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [{"a": [1, 2]}] * len(paths)
