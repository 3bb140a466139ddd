"""The base of every settings class: frozen, closed, without infinities."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Settings that a sweep file may give; an unknown key is an error, never ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    example: ClassVar[str] = ""
    """How these settings are written, for messages; WORD is what was given in their place."""


class Component(BaseModel):
    """A name from the catalog (or an import path ``module:Class``) with its own settings beside it.

    The settings are checked by the class that the name stands for, not here. A bare string is
    short for a component with default settings.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def settings(self) -> dict[str, Any]:
        """All but the name."""
        return dict(self.__pydantic_extra__ or {})


def _absolute(path: str) -> str:
    """Lanes run elsewhere: a path of the working directory must mean the same to them."""
    return path if "://" in path else str(Path.cwd() / Path(path).expanduser())


LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_absolute)]
"""A path as the file gives it, made absolute against the working directory; addresses stay."""


_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def _absolute_if_local(name: str) -> str:
    path = Path(name).expanduser()
    # The hub has NAME and ORGANISATION/NAME: anything else cannot be a name there.
    local = path.exists() or not _HUB_NAME.fullmatch(name)
    return str(Path.cwd() / path) if local else name


PathOrHubName = Annotated[str, Field(min_length=1), AfterValidator(_absolute_if_local)]
"""What is there, or cannot be the name of a model, made absolute; all else is the name of one."""
