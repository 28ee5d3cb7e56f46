"""What can go wrong, drawn as a tree. Every error has a message (what is wrong) and a hint (what to do).

FluxLocalError
+-- RequestError          2  the request or an input can't be used
+-- BoardError            2  a board can't be read, saved or changed
|   +-- BoardLocked       2  another window or program has it open
+-- ModelError            3  the model is missing or unusable
|   +-- NotInstalled      3
|   +-- LayoutError       3  tensors missing, left over or of another shape; names them
|   +-- FolderVersionError 3 written by a newer Flux Local
+-- ConvertError          3  the source can't be converted
|   +-- UnsafeFile        3  would run code, or lies about its contents
|   +-- LicenceNotAccepted 3
+-- WillNotFit            4  memory or disk, said before starting
|   +-- DiskFull          4
+-- SampleError           5  the run failed
    +-- OutOfMemory       5
    +-- NotFinite         5
    +-- WorkerDied        5

The number is the exit code of the command line.
"""


class FluxLocalError(Exception):
    """Root of all errors that are told to a person; `code` is a stable name for scripts."""

    exit_code = 5

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message, self.hint = message, hint

    @property
    def code(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RequestError(FluxLocalError):
    exit_code = 2


class BoardError(FluxLocalError):
    exit_code = 2


class BoardLocked(BoardError):
    pass


class BoardElsewhere(BoardLocked):
    """Locked by another machine, which may have forgotten it: can be opened anyway."""


class ModelError(FluxLocalError):
    exit_code = 3


class NotInstalled(ModelError):
    pass


class LayoutError(ModelError):
    pass


class FolderVersionError(ModelError):
    pass


class ConvertError(FluxLocalError):
    exit_code = 3


class UnsafeFile(ConvertError):
    pass


class LicenceNotAccepted(ConvertError):
    pass


class WillNotFit(FluxLocalError):
    exit_code = 4


class DiskFull(WillNotFit):
    pass


class SampleError(FluxLocalError):
    exit_code = 5


class OutOfMemory(SampleError):
    pass


class NotFinite(SampleError):
    pass


class WorkerDied(SampleError):
    pass
