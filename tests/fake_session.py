"""Stands in for the AWS CLI and its Session Manager plugin: `FORWARD_TO` is the port of what the host would reach.

It writes its arguments, and how it ended, to the folder in `RECORD`.
"""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65_536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def main() -> None:
    """Forward connections until SIGINT."""
    record = Path(os.environ["RECORD"])
    (record / "arguments").write_text(json.dumps(sys.argv[1:]))
    parameters = json.loads(sys.argv[sys.argv.index("--parameters") + 1])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with socket.create_server(("127.0.0.1", int(parameters["localPortNumber"][0]))) as server:
            while True:
                here, _ = server.accept()
                there = socket.create_connection(("127.0.0.1", int(os.environ["FORWARD_TO"])))
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()
    except KeyboardInterrupt:
        (record / "ended").write_text("by SIGINT")


if __name__ == "__main__":
    main()
