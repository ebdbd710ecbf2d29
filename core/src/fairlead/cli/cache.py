"""``fairlead cache``: what was fetched, whether it is still what it was, and making room."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fairlead import errors
from fairlead.settings import ByteSize

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fairlead.storage.eviction import Entry
    from fairlead.storage.settings import FetchSettings

__all__ = ["add_arguments", "run"]

_EPILOG: Final = """\
The cache is the folder FAIRLEAD_CACHE, by default ~/.cache/fairlead. What a process uses, or has mapped, is never
removed. What is removed is fetched again when it is needed.

examples:
  fairlead cache ls
  fairlead cache verify
  fairlead cache prune --keep 50GiB
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs and their arguments."""
    parser.epilog = _EPILOG
    verbs = parser.add_subparsers(dest="verb", metavar="<verb>", required=True, title="verbs")

    listing = verbs.add_parser("ls", help="show what was fetched, when it was used last, and what it takes")
    listing.add_argument("--json", action="store_true", help="print JSON")

    verifying = verbs.add_parser("verify", help="read every file, and compare it with what was fetched")
    verifying.add_argument("--remove", action="store_true", help="remove what is damaged; it is fetched again")
    verifying.add_argument("--json", action="store_true", help="print JSON")

    pruning = verbs.add_parser("prune", help="remove what was not used for longest")
    much = pruning.add_mutually_exclusive_group()
    much.add_argument("--keep", metavar="SIZE", help="what the cache may hold afterwards, for example 50GiB")
    much.add_argument("--all", action="store_true", help="remove everything that nobody uses")
    pruning.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from fairlead.storage.settings import FetchSettings

    settings = FetchSettings.from_environment()
    try:
        match args.verb:
            case "ls":
                return _ls(settings.cache, as_json=args.json)
            case "verify":
                return _verify(settings.cache, remove=args.remove, as_json=args.json)
            case _:
                return _prune(settings, args)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise errors.StorageError(
            f"The cache {settings.cache} cannot be used: {error.filename}: {error.strerror}.",
            remedy="Run it as the user whose cache it is, on a file system that can be written.",
        ) from error


def _ls(cache: Path, *, as_json: bool) -> int:
    from fairlead.cli import ages, plaintext
    from fairlead.storage import eviction

    found = list(reversed(eviction.entries(cache)))
    held = eviction.size(cache)
    if as_json:
        entries = [{**_as_json(entry), "used": entry.used} for entry in found]
        print(json.dumps({"cache": str(cache), "bytes": held, "entries": entries}, indent=1))
        return 0
    if not found:
        print(f"Nothing was fetched into {cache}.")
        return 0
    now = time.time()
    rows = [
        (
            entry.uri or "(unknown)",
            f"{entry.state}, in use" if entry.in_use else entry.state,
            str(ByteSize(entry.bytes)),
            f"{ages.age(max(0.0, now - entry.used))} ago",
        )
        for entry in found
    ]
    print("\n".join(plaintext.columns([("URI", "STATE", "SIZE", "USED"), *rows], by=0)))
    print(f"\n{ByteSize(held)} in {cache}")
    return 0


def _verify(cache: Path, *, remove: bool, as_json: bool) -> int:
    from fairlead.storage import verifying

    found = verifying.verify(cache, remove=remove)
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "uri": each.uri,
                        "path": str(each.folder),
                        "damaged": each.damaged,
                        "removed": each.removed,
                        "settled": each.settled,
                    }
                    for each in found
                ],
                indent=1,
            )
        )
    else:
        for each in found:
            state = "damaged" if each.damaged else "ok" if each.settled else "unknown"
            print(f"{state:<9}{each.uri or each.folder}" + _what(each.damaged))
        if unknown := sum(not each.settled for each in found):
            print(f"Of {unknown} only the sizes are known: the process that fetched them ended before it took digests.")
        bad = sum(bool(each.damaged) for each in found)
        gone = sum(each.removed for each in found)
        kept = f", {gone} removed" + (f", {bad - gone} in use and kept" if bad > gone else "") if remove else ""
        good = sum(each.settled and not each.damaged for each in found)
        print(f"{good} of {len(found)} are what was fetched" + (f"; {bad} damaged{kept}." if bad else "."))
    return 1 if any(each.damaged for each in found) else 0


def _what(damaged: Sequence[str]) -> str:
    more = f" and {len(damaged) - 3} more" if len(damaged) > 3 else ""
    return f" ({', '.join(damaged[:3])}{more})" if damaged else ""


def _prune(settings: FetchSettings, args: argparse.Namespace) -> int:
    from fairlead.storage import eviction

    if args.keep is not None:
        try:
            keep = ByteSize.parse(args.keep)
        except ValueError as error:
            raise errors.ConfigurationError(
                f"--keep: {error}.",
                remedy="For example: --keep 50GiB; the units are kB, MB, GB, TB, KiB, MiB, GiB and TiB.",
            ) from None
    else:
        keep = ByteSize(settings.max_cache_bytes or 0)
        if not args.all and settings.max_cache_bytes is None:
            raise errors.ConfigurationError(
                "It is not known how much the cache may keep.",
                remedy="Give --keep SIZE or --all, or set FAIRLEAD_CACHE_MAX_BYTES.",
            )
    removed = eviction.evict(settings.cache, keep_bytes=keep)
    held = eviction.size(settings.cache)
    if args.json:
        print(json.dumps({"removed": removed.entries, "freed": removed.bytes, "bytes": held}))
        return 0
    print(f"Removed {removed.entries}; {ByteSize(removed.bytes)} got free, {ByteSize(held)} are kept.")
    used = [entry for entry in eviction.entries(settings.cache) if entry.in_use] if held > keep else []
    for entry in used:
        print(f"In use, and kept: {entry.uri or entry.folder}")
    return 0


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "uri": entry.uri,
        "path": str(entry.folder),
        "bytes": entry.bytes,
        "state": entry.state,
        "in_use": entry.in_use,
    }
