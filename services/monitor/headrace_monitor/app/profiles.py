"""Opens what knows how data looked: the book of profiles, and its methods."""

from __future__ import annotations

import functools
from concurrent.futures import Executor

from headrace.monitor.v1 import profile_service_pb2, profile_service_pb2_grpc
from headrace_monitor.domain.clock import Clock
from headrace_monitor.domain.profiles.profile_book import ProfileBook
from headrace_monitor.domain.profiles.profile_questions import ProfileQuestions
from headrace_monitor.domain.telemetry.known_layouts import KnownLayouts
from headrace_monitor.settings import Settings
from headrace_monitor.wire.grpc.profile_servicer import ProfileServicer

SERVICE = profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"]

_MIB = 2**20


def make_book(settings: Settings, layouts: KnownLayouts) -> ProfileBook:
    """The book, as the settings bound it; it knows and tells the fields of versions."""
    return ProfileBook(layouts, settings.kept_hours * 3600, settings.profile_memory_mb * _MIB)


def make_servicer(
    book: ProfileBook, settings: Settings, clock: Clock, questions: Executor
) -> ProfileServicer:
    """The methods."""
    return ProfileServicer(ProfileQuestions(book, clock, settings.kept_hours * 3600, questions))


def serve_profiles(servicer: ProfileServicer) -> functools.partial[None]:
    """Return what adds the methods to a server."""
    return functools.partial(
        profile_service_pb2_grpc.add_ProfileServiceServicer_to_server, servicer
    )
