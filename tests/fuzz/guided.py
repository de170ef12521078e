"""One reader, fed by atheris: ``python -m tests.fuzz.guided READER SECONDS FOLDER``.

Inputs that reach something new are kept in the folder. A process of its own: what is to be led by
coverage has to be imported under instrumentation, and atheris ends the process when it ends.
"""

from __future__ import annotations

import sys

import atheris


def main(name: str, seconds: str, folder: str) -> None:
    with atheris.instrument_imports(include=["ledger"]):
        from tests.fuzz.run import feed, keep

    def feed_one(data: bytes) -> None:
        try:
            feed(name, data)
        except Exception as error:
            error.add_note(f"kept in {keep(name, data)}")
            raise

    options = [
        f"-max_total_time={seconds}",
        "-max_len=8192",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/crash-", folder], feed_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
