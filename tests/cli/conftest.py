"""Databases with an application in them, made by the fixtures of the migrations' tests."""

from tests.migration.conftest import any_dsn, application, application_dsn, application_roles

__all__ = ["any_dsn", "application", "application_dsn", "application_roles"]
