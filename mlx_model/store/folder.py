"""The converted folder: `model.json`, weight shards by component, tokenizer files. Reading it needs no mlx.

    NAME/
      model.json                      schema, model, source, licence, plan, dtype, components, tokenizer
      transformer/00001.safetensors   shards of at most 4 GB (weights.save_component writes them)
      text_encoder/..., autoencoder/...
      tokenizer/tokenizer.json ...    of the text encoder; pooled_tokenizer/ of a second one
      coreml/decoder.mlpackage/...    what draws previews on a Mac's Neural Engine, where it was made

Every file is listed with its size and sha256. Opening is strict about the list and the sizes; `verify` recomputes
the hashes.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import Advice, FolderVersionError, LayoutError, NotInstalled, say_reason
from ..events import Done, Event, Note, Stage, Step
from ..files import make_folders, number_names, sync_file, sync_folder
from ..foreign import check_sizes, parse_json
from ..held import is_plain
from ..memory import Streamed
from ..specs import OPTIONAL, SPECS, ModelSpec
from .counting import add_up, count_blocks, count_steering

SCHEMA = 1
MANIFEST = "model.json"
SETTLED = 2 * 10**9  # ns since model.json was written, from which on it is remembered
MANIFEST_LIMIT = 16 * 2**20  # bytes; a manifest of 32 shards is 8 kB

Facts = dict[str, Any]  # of one file: {"bytes": int, "sha256": str}
# What was read of each model.json, by the stamp it had: one run asks for its model several times.
_manifests: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}


@dataclass(frozen=True)
class Component:
    """One network of a model: the module that builds it, the arguments of its Params, its shards."""

    family: str
    params: dict[str, Any]
    files: dict[str, Facts]
    parameters: int = 0

    @property
    def bytes(self) -> int:
        return sum(facts["bytes"] for facts in self.files.values())


AGAIN, SMALL_BYTES = "Remove the model and add or convert it again.", 2**26


@dataclass(frozen=True)
class Folder:
    """A converted model on disk. `spec` has the sizes of this folder, which a tiny model doesn't share with SPECS."""

    path: Path
    spec: ModelSpec
    components: dict[str, Component]
    tokenizer: dict[str, Facts] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    plan: str = ""
    dtype: str = "bfloat16"
    packages: dict[str, dict[str, Facts]] = field(default_factory=dict)  # for Core ML: "decoder", "encoder"

    def files(self, component: str) -> list[Path]:
        """The weight shards of a component, in order. Raises LayoutError where the folder has no such component."""
        if component not in self.components:
            raise LayoutError(f"{self.path.name} has no {component}.")
        return [self.path / name for name in self.components[component].files]

    def count_held(self, component: str, number_bytes: int) -> int:
        """Bytes in memory of a component: packed codes as they are, every other number in `number_bytes`."""
        dense = 4 * self.components[component].parameters * self.is_held_dense(component, number_bytes)
        return max(dense, int(sum(self._count(component, number_bytes).values())))

    def count_streamed(self, component: str, number_bytes: int) -> Streamed:
        """The same where the network's blocks are read one after the other as it runs."""
        return add_up(self._count(component, number_bytes))

    def _count(self, component: str, number_bytes: int, count: Callable[..., Any] = count_blocks) -> Any:
        files = self.components[component].files.items()
        return count(((self.path / name, facts["sha256"]) for name, facts in files), number_bytes)

    def count_steering(self, number_bytes: int) -> int:
        """Of the transformer's bytes in memory, those of its blocks' own modulation."""
        return int(self._count("transformer", number_bytes, count_steering))

    def is_held_dense(self, component: str, number_bytes: int) -> bool:
        """Whether packed weights are unpacked once, when they are loaded: small ones on a CPU, which has float32."""
        return number_bytes == 4 and 4 * self.components[component].parameters <= SMALL_BYTES

    @property
    def tokenizer_path(self) -> Path:
        """The folder with tokenizer.json."""
        return self.path / "tokenizer"

    @property
    def pooled_tokenizer_path(self) -> Path:
        """The folder with the tokenizer.json of the pooled encoder, where the model has one."""
        return self.path / "pooled_tokenizer"

    @property
    def identity(self) -> str:
        """Hex sha256 of what its weights and tokenizer are: two folders that have the same draw the same."""
        parts = (*(part.files for part in self.components.values()), self.tokenizer)
        known = sorted((name, facts["sha256"]) for files in parts for name, facts in files.items())
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        return sum(facts["bytes"] for facts in self.list_files().values())

    def list_files(self) -> dict[str, Facts]:
        """Every file of the manifest, by its path inside the folder."""
        weights = [part.files for part in self.components.values()]
        every = (*weights, self.tokenizer, *self.packages.values())
        return {name: facts for files in every for name, facts in files.items()}


def roles(spec: ModelSpec) -> dict[str, str]:
    """The components that a folder of this model must have, and the module of each."""
    text = {"text_encoder": spec.text_family} if spec.takes_text else {}
    further = {role: family for role, (family, _) in spec.extras.items()}
    return {"transformer": spec.family, **text, **further, "autoencoder": "autoencoder"}


def open_folder(path: Path | str) -> Folder:
    """Read and check model.json and the sizes of all files; hashes only in `verify`.

    Raises NotInstalled (no folder, no model.json), FolderVersionError (written by a newer version),
    LayoutError (a file is missing, of another size, not listed, or a path leaves the folder).
    """
    path = Path(path)
    manifest = _read_manifest(path)
    name = manifest.get("model")
    if not isinstance(name, str) or name not in SPECS:
        hint = "Update Flux Local, or convert the source again."
        raise FolderVersionError(f"{path.name} holds the model {name!r}, which this version does not know.", hint)
    try:
        folder = _folder(path, SPECS[name], manifest)
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise LayoutError(f"{path / MANIFEST} is damaged: {say_reason(error)}.", "Convert the source again.") from error
    _check_roles(folder)
    _check_files(folder)
    return folder


def _read_manifest(path: Path) -> dict[str, Any]:
    """model.json, read again only where it was written since."""
    file = path / MANIFEST
    if not file.is_file():
        raise NotInstalled(f"{path} is not a converted model: it has no {MANIFEST}.", Advice("convert_it"))
    place, now, stat = file.absolute(), time.time_ns(), file.stat()
    stamp = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
    known = _manifests.get(place)
    if known and known[0] == stamp:
        return known[1]
    manifest = _parse_manifest(file)
    if now - stat.st_mtime_ns > SETTLED:  # a write within the clock's grain would leave the same stamp
        _manifests[place] = stamp, manifest
    return manifest


def _parse_manifest(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MANIFEST_LIMIT:
            raise ValueError("too large")
        manifest: dict[str, Any] = parse_json(file.read_text("utf-8"))
        if not isinstance(manifest, dict) or "schema" not in manifest:
            raise ValueError("it says no schema")
        schema = manifest["schema"]
    except ValueError as error:
        raise LayoutError(f"{file} is damaged: {say_reason(error)}.", AGAIN) from error
    if type(schema) is not int or schema != SCHEMA:
        hint = "Update Flux Local, or convert the source again."
        raise FolderVersionError(f"{file} has schema {schema!r}; this version reads {SCHEMA}.", hint)
    return manifest


def _folder(path: Path, spec: ModelSpec, manifest: dict[str, Any]) -> Folder:
    components = {name: _component(path, entry) for name, entry in manifest["components"].items()}
    sizes: dict[str, Any] = {
        key: components[name].params
        for key, name in (("transformer", "transformer"), ("text", "text_encoder"), ("autoencoder", "autoencoder"))
        if name in components
    }
    counts = {name: part.parameters for name, part in components.items() if part.parameters}
    extras = {
        name: (family, components[name].params) for name, (family, _) in spec.extras.items() if name in components
    }
    spec = dataclasses.replace(spec, **sizes, extras=extras, parameters={**spec.parameters, **counts})
    texts = {key: str(manifest[key]) for key in ("licence", "plan", "dtype")}
    tokenizer = _file_list(path, manifest.get("tokenizer", {}))
    packages = {name: _file_list(path, files) for name, files in manifest.get("coreml", {}).items()}
    return Folder(path, spec, components, tokenizer, dict(manifest["source"]), **texts, packages=packages)


def _component(path: Path, entry: dict[str, Any]) -> Component:
    params = {key: _tuples(value) for key, value in entry["params"].items()}
    check_sizes(params)
    return Component(str(entry["family"]), params, _file_list(path, entry["files"]), int(entry.get("parameters", 0)))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _file_list(path: Path, files: dict[str, Any]) -> dict[str, Facts]:
    return {
        inside(path, name): {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])}
        for name, facts in files.items()
    }


def inside(path: Path, name: str) -> str:
    """`name` if it is a plain relative path that stays inside the folder `path`, links included. Raises LayoutError."""
    plain = PurePosixPath(name)
    leaves = plain.is_absolute() or ".." in plain.parts or "\\" in name or "\0" in name or not plain.parts
    if leaves or not (path / name).resolve().is_relative_to(path.resolve()):
        raise LayoutError(f"{path.name} lists a file outside its folder: {name!r}.")
    return name


def _check_roles(folder: Folder) -> None:
    wanted = roles(folder.spec)
    found = {name: part.family for name, part in folder.components.items()}
    if found != wanted | {name: family for name, family in OPTIONAL.items() if name in found}:
        raise LayoutError(f"{folder.path.name} has the components {found}; {folder.spec.name} needs {wanted}.")


def _check_files(folder: Folder) -> None:
    listed = folder.list_files()
    for name, facts in listed.items():
        file = folder.path / name
        if not file.is_file():
            raise LayoutError(f"{folder.path.name}: {name} is missing.", "Convert the source again.")
        size = file.stat().st_size
        if size != facts["bytes"]:
            raise LayoutError(f"{folder.path.name}: {name} has {size} bytes, not {facts['bytes']}.", "Convert again.")
    on_disk = (file for file in folder.path.rglob("*") if file.suffix.lower() == ".safetensors")
    extra = [file.relative_to(folder.path).as_posix() for file in on_disk]
    extra = sorted(set(extra) - set(listed))
    if extra:
        raise LayoutError(f"{folder.path.name} holds weights that {MANIFEST} does not list: {', '.join(extra[:5])}.")


def verify(folder: Folder) -> Iterator[Event]:
    """Recompute every sha256: Stage, a Step per file, a Note per damaged file, Done.

    Raises LayoutError at the end, naming the damaged files.
    """
    listed, start, damaged = folder.list_files(), time.monotonic(), []
    total, done = max(1, folder.bytes), 0
    yield Stage("verify", folder.path.name, len(listed))
    for number, (name, facts) in enumerate(listed.items(), 1):
        if sha256_of(folder.path / name) != facts["sha256"]:
            damaged.append(name)
            yield Note(f"{name} is damaged: its sha256 is not the recorded one.")
        done += facts["bytes"]
        seconds = time.monotonic() - start
        yield Step(number, len(listed), seconds, seconds * (total - done) / max(1, done))
    if damaged:
        raise LayoutError(f"{folder.path.name} is damaged: {', '.join(damaged[:5])}.", "Convert the source again.")
    yield Done(time.monotonic() - start, str(folder.path))


def sha256_of(file: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_others(path: Path) -> list[str]:
    """What lies in the converted folder `path` and is not as its model.json lists it, by the paths inside.

    Raises NotInstalled, LayoutError, FolderVersionError where there is no model.json of ours.
    """
    if not is_plain(path / MANIFEST, path):
        raise NotInstalled(f"{path} is not a converted model: it has no {MANIFEST}.", Advice("convert_it"))
    manifest = _parse_manifest(path / MANIFEST)
    try:
        parts = [entry["files"] for entry in manifest["components"].values()]
        parts += [manifest["tokenizer"], *manifest.get("coreml", {}).values()]
        listed = {name: facts["bytes"] for files in parts for name, facts in files.items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise LayoutError(f"{path / MANIFEST} is damaged or of another program.", AGAIN) from error
    found = []
    for root, folders, files in os.walk(path):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [(Path(root) / name).relative_to(path).as_posix() for name in (*links, *files)]
    ours = {name for name in found if _is_as_listed(path / name, path, listed.get(name))} | {MANIFEST}
    return sorted(set(found) - ours)


def _is_as_listed(file: Path, folder: Path, count: object) -> bool:
    return is_plain(file, folder) and file.stat().st_size == count


def keep_others(old: Path, new: Path) -> list[str]:
    """Before the converted folder `new` takes the place of `old`: what we did not write stays, in `new` or beside.

    Beside, in a folder NAME-kept, where `new` has that name itself or it are weights, which a model may not hold
    without listing them. Nothing leaves `old`. What a person should be told. Raises what list_others does, OSError.
    """
    others = list_others(old)
    beside = next(one for one in number_names(old.with_name(f"{old.name}-kept")) if not os.path.lexists(one))
    told = []
    for name in others:
        clash = os.path.lexists(new / name) or name.lower().endswith(".safetensors")
        _give_name(old / name, (beside if clash else new) / name)
        told += [f"{name} was not written by Flux Local as it is; it stays, at {beside / name}."] if clash else []
    return told


def _give_name(file: Path, to: Path) -> None:
    """A second name, or a copy where the disk has no hard links; a link stays a link."""
    make_folders(to.parent)
    if file.is_symlink():
        to.symlink_to(os.readlink(file))
    else:
        try:
            os.link(file, to)
        except OSError:
            shutil.copy2(file, to)
            sync_file(to)
    sync_folder(to.parent)


def save_tokenizer(folder_dir: Path, files: Iterable[Path], name: str = "tokenizer") -> dict[str, Facts]:
    """Copy tokenizer files into `folder_dir`/`name`; the result belongs into the manifest's "tokenizer" entry."""
    target, entry = folder_dir / name, {}
    make_folders(target)
    for file in files:
        copy = Path(shutil.copyfile(file, target / file.name))
        sync_file(copy)
        entry[f"{name}/{file.name}"] = {"bytes": copy.stat().st_size, "sha256": sha256_of(copy)}
    sync_folder(target)
    return entry


def write_manifest(
    folder_dir: Path,
    model: str,
    components: dict[str, dict[str, Any]],
    tokenizer: dict[str, Facts],
    *,
    source: dict[str, Any],
    licence: str,
    plan: str,
    dtype: str,
) -> Path:
    """Write model.json, durably and last: a folder without it is no model.

    `components` are the entries that weights.save_component returned, `tokenizer` the one of save_tokenizer.
    """
    values = {"schema": SCHEMA, "model": model, "family": SPECS[model].family, "source": source, "licence": licence}
    values |= {"plan": plan, "dtype": dtype, "components": components, "tokenizer": tokenizer}
    return _write_manifest(folder_dir, values)


def list_packages(folder_dir: Path, packages: dict[str, Path]) -> None:
    """Name Core ML packages that lie in the folder in its model.json, with their hashes. LayoutError, OSError."""
    entries = {
        name: {
            file.relative_to(folder_dir).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
            for file in sorted(package.rglob("*"))
            if file.is_file()
        }
        for name, package in packages.items()
    }
    _write_manifest(folder_dir, _parse_manifest(folder_dir / MANIFEST) | {"coreml": entries})


def _write_manifest(folder_dir: Path, values: dict[str, Any]) -> Path:
    file = folder_dir / MANIFEST
    part = file.with_name(MANIFEST + ".part")
    part.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sync_file(part)
    os.replace(part, file)
    sync_folder(folder_dir)
    return file
