"""What tests of CAR files share."""

from tests.store_command import home

__all__ = ["home"]
