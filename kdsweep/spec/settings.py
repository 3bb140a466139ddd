"""The base of every settings class: frozen, closed, without infinities."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Settings that a sweep file may give; an unknown key is an error, never ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


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
