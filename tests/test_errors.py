"""One class for each code of the contract."""

from __future__ import annotations

import pytest

from cosyd import errors


@pytest.mark.parametrize("code", sorted(errors.BY_CODE))
def test_class_has_the_code_in_camel_case(code: str) -> None:
    cls = errors.BY_CODE[code]
    assert cls.__name__ == "".join(part.capitalize() for part in code.split("_"))
    error = errors.from_code(code, "why", ref=3)
    assert type(error) is cls and (error.code, error.message, error.ref) == (code, "why", 3)


def test_retryable_ones() -> None:
    again = {code for code, cls in errors.BY_CODE.items() if cls.retryable}
    assert again == {"out_of_memory", "engine_crashed", "engine_timeout", "busy", "shutting_down"}


def test_unknown_code_loses_nothing() -> None:
    error = errors.from_code("brand_new", "why")
    assert isinstance(error, errors.Internal) and "brand_new: why" in error.message
