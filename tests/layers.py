"""The two contracts of the house that import-linter checks: layers by pattern, and who may open which door.

Import-linter's own layers want every module named; here a module's place follows from its name, so a new file in a room
is checked from its first import. Both look at direct imports only: where every direct import points down, every chain
does. The contracts themselves stand in pyproject.toml.
"""

from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Breach = tuple[str, str, str, int]
"""Importer, imported, what is wrong, line number (0 = unknown)."""


def fit(module: str, pattern: str) -> tuple[int, ...] | None:
    """How literally a pattern names a module, greater is better; None where it does not.

    ``*`` stands for one name, ``**`` at the end for any number of names, none included.
    """
    names, parts = module.split("."), pattern.split(".")
    literal: list[int] = []
    for position, part in enumerate(parts):
        if part == "**":
            return (*literal, 0)
        if position >= len(names) or part not in ("*", names[position]):
            return None
        literal.append(1 if part == "*" else 2)
    return tuple(literal) if len(names) == len(parts) else None


def layer_of(module: str, layers: list[str]) -> int | None:
    """Index of the layer whose pattern names the module most literally; None where no pattern does."""
    best: tuple[tuple[int, ...], int] | None = None
    for index, layer in enumerate(layers):
        for pattern in layer.split("|"):
            found = fit(module, pattern.strip())
            if found is not None and (best is None or found > best[0]):
                best = (found, index)
    return best[1] if best else None


def direct_imports(graph: ImportGraph, modules: set[str]) -> Iterator[tuple[str, str]]:
    """Every (importer, imported) pair whose importer is one of ``modules``, in order."""
    for importer in sorted(modules):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            yield importer, imported


def line_of(graph: ImportGraph, importer: str, imported: str) -> int:
    """Line of the first import statement of a pair."""
    details = graph.get_import_details(importer=importer, imported=imported)
    return min((detail["line_number"] for detail in details), default=0)


class _Reported(Contract):
    """A contract whose breaches are lines of text."""

    def report(self, breaches: list[Breach]) -> ContractCheck:
        """What import-linter wants of ``check``."""
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the breaches."""
        for importer, imported, reason, line in check.metadata["breaches"]:
            output.print_error(f"{importer} -> {imported} (l.{line}): {reason}", bold=False)


class House(_Reported):
    """Layers from the top down; each module may import its own layer and those below."""

    type_name = "house"
    layers = fields.ListField(subfield=fields.StringField())
    apart = fields.StringField(required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find imports that point up, modules without a place, and rooms that meet elsewhere than in tables."""
        layers: list[str] = list(self.layers)  # type: ignore[call-overload]
        apart = layers.index(self.apart) if self.apart else -1  # type: ignore[arg-type]
        own = {name for name in graph.modules if not graph.is_module_squashed(name)}
        place = {module: layer_of(module, layers) for module in own}
        breaches: list[Breach] = [(m, m, "no layer names this module", 0) for m in sorted(own) if place[m] is None]
        for importer, imported in direct_imports(graph, own):
            above, below = place[importer], place.get(imported)
            if above is None or below is None:
                continue
            line = line_of(graph, importer, imported)
            if below < above:
                breaches.append((importer, imported, f"points up, to layer {layers[below]}", line))
            elif above == below == apart and importer.split(".")[1] != imported.split(".")[1]:
                breaches.append((importer, imported, "rooms meet in tables, not in each other's modules", line))
        return self.report(breaches)


class Doors(_Reported):
    """External packages and the patterns of modules that may import them."""

    type_name = "doors"
    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find modules that open another's door."""
        keepers: dict[str, list[str]] = {}
        for door in self.doors:  # type: ignore[attr-defined]
            package, patterns = str(door).split(":")
            keepers[package.strip()] = [pattern.strip() for pattern in patterns.split("|")]
        own = {name for name in graph.modules if not graph.is_module_squashed(name)}
        breaches: list[Breach] = []
        for importer, imported in direct_imports(graph, own):
            patterns_of: list[str] | None = keepers.get(imported.split(".")[0])
            if patterns_of is not None and not any(fit(importer, pattern) is not None for pattern in patterns_of):
                breaches.append(
                    (importer, imported, "this door is not its to open", line_of(graph, importer, imported))
                )
        return self.report(breaches)
