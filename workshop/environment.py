"""What other packages read in the environment, set before they are imported.

`import workshop` calls `prepare()`, tools/course.py too: so it holds in every process that the course
starts. Only the standard library, in syntax that Python 3.6 can read, for tools/course.py.
"""

import os
import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def prepare():
    """Let nothing call home, keep loopback off proxies, and pymilvus from what it misreads."""
    # onnxruntime would write a device id into the home folder and report to its maker.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # gRPC, below pymilvus, would report each connection that closes.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    _keep_loopback_off_proxies()
    if not any(isinstance(finder, _Pymilvus) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Pymilvus())


SIGNS = {"✅": "[ok]", "❌": "[no]", "⏳": "[..]", "→": "->"}


def printable(text):
    """The text with plain signs where the console cannot show ours, as one of Windows in cp1252."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        for sign, plain in SIGNS.items():
            text = text.replace(sign, plain)
        return text.encode(encoding, "replace").decode(encoding)


# --------------------------------------------------------------------------------------- proxies


def proxies():
    """The proxies that the environment names, by variable, such as http_proxy or ALL_PROXY."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") and not name.lower().startswith("no_") and value
    }


def _keep_loopback_off_proxies():
    """Add loopback to what is reached directly; nothing is set where no proxy is.

    Where only the system's settings name one, as on Windows, a no_proxy would hide those from pip.
    """
    if not proxies():
        return
    lower, upper = os.environ.get("no_proxy", ""), os.environ.get("NO_PROXY", "")
    for name, value in {"no_proxy": lower or upper, "NO_PROXY": upper or lower}.items():
        # alone it means all hosts, but not beside others
        os.environ[name] = value if value.strip() == "*" else _with_loopback(value)
    # gRPC reads this one first, in small letters, and takes "*" for a name
    direct = os.environ.get("no_grpc_proxy") or lower or upper  # noqa: SIM112
    os.environ["no_grpc_proxy"] = _with_loopback(direct)  # noqa: SIM112


def _with_loopback(value):
    names = [name.strip() for name in value.split(",") if name.strip()]
    return ",".join(names + [name for name in LOOPBACK if name not in names])


def without_proxy(name):
    """Whether the environment lets every client reach the host of that name directly."""
    return not proxies() or all(
        value.strip() == "*" or name in value.split(",")
        for value in (os.environ.get(v, "") for v in ("no_proxy", "NO_PROXY", "no_grpc_proxy"))
    )


def drop_unusable_proxies():
    """Forget the proxies that httpx cannot use: with one it can make no client at all.

    They are SOCKS proxies, for lack of a package, and addresses with a mistake.
    """
    for name, value in proxies().items():
        try:
            parts = urlsplit(value if "://" in value else "http://" + value)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        except ValueError:
            usable = False
        if not usable and name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]


# -------------------------------------------------------------------------------------- pymilvus


class _Pymilvus(MetaPathFinder):
    """Imports pymilvus without MILVUS_URI.

    It reads the variable when it is imported, and fails there if that is a file, or anything else
    that is no address; its message then shows the password. It also loads any .env on the way to
    the root folder.
    """

    def find_spec(self, name, path=None, target=None):
        if name != "pymilvus.settings":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_unaware(module):
                with _variables(MILVUS_URI="", PYTHON_DOTENV_DISABLED="1"):
                    execute(module)

            spec.loader.exec_module = execute_unaware
        return spec


@contextmanager
def _variables(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
