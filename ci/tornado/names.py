"""Prints the public names of Tornado's core: `module.name`, and `module.Class.name`.

A method that a class overrides is named where it is declared first; what every `Configurable` has
for its subclasses alone is not a name that anybody uses.
"""

import importlib
import inspect

MODULES = (
    "concurrent gen ioloop iostream locks netutil platform.asyncio queues tcpclient tcpserver"
).split()
FOR_SUBCLASSES = ("configurable_base", "configurable_default", "initialize")


def is_public(module, name, value):
    if name.startswith("_") or name == "doctests" or inspect.ismodule(value):
        return False
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__module__ == module.__name__
    # Objects of the module's own, but for its loggers and its words for types.
    return type(value).__module__ == module.__name__


def members(value):
    inherited = {name for base in value.__mro__[1:] if base.__module__ != "tornado.util"
                 for name in vars(base)}
    own = (name for name in vars(value) if not name.startswith("_"))
    return [name for name in own if name not in inherited and name not in FOR_SUBCLASSES]


names = {"concurrent.Future"}
for name in MODULES:
    module = importlib.import_module(f"tornado.{name}")
    for own, value in vars(module).items():
        if is_public(module, own, value):
            names.add(f"{name}.{own}")
            # Loops of asyncio are reached through IOLoop; their methods are its, or asyncio's.
            if inspect.isclass(value) and name != "platform.asyncio":
                names.update(f"{name}.{own}.{member}" for member in members(value))
print(*sorted(names), sep="\n")
