"""The RPC methods of profiles: each decodes, calls the domain, and encodes."""

from __future__ import annotations

from headrace.conversion.data_profiles import layout_to_proto, profile_to_proto
from headrace.data_profiles.profiles import ProfileKey
from headrace.monitor.v1 import profile_service_pb2 as pb
from headrace.monitor.v1 import profile_service_pb2_grpc
from headrace_monitor.domain.profiles.profile_book import ProfilesInBins, ProfileStep
from headrace_monitor.domain.profiles.profile_questions import (
    DEFAULT_WINDOW_NS,
    ProfileAnswer,
    ProfileQuery,
    ProfileQuestions,
)
from headrace_monitor.wire.grpc.convert import gap_to_proto
from headrace_monitor.wire.grpc.times import nanoseconds, timestamp


class ProfileServicer(profile_service_pb2_grpc.ProfileServiceServicer):
    """Hands questions to the domain; whoever asks may read the model, which was seen to before."""

    def __init__(self, questions: ProfileQuestions) -> None:
        self._questions = questions

    async def QueryProfiles(
        self, request: pb.QueryProfilesRequest, context: object
    ) -> pb.QueryProfilesResponse:
        """Answer what rows looked like."""
        query = query_from_proto(request)
        answer = await self._questions.ask(query)
        return answer_to_proto(answer, with_steps=bool(query.step_ns))


def query_from_proto(proto: pb.QueryProfilesRequest) -> ProfileQuery:
    """The question, unchecked."""
    return ProfileQuery(
        ProfileKey(proto.model, proto.version, proto.slice),
        nanoseconds(proto.window) if proto.HasField("window") else DEFAULT_WINDOW_NS,
        nanoseconds(proto.end_time) if proto.HasField("end_time") else 0,
        nanoseconds(proto.step) if proto.HasField("step") else 0,
    )


def answer_to_proto(answer: ProfileAnswer, *, with_steps: bool) -> pb.QueryProfilesResponse:
    """The answer as a message."""
    message = pb.QueryProfilesResponse(
        profiles=[_binned(each, with_steps=with_steps) for each in answer.profiles],
        slices=answer.slices,
        end_time=timestamp(answer.end_ns),
        gaps=map(gap_to_proto, answer.gaps),
    )
    if answer.start_ns:
        message.start_time.CopyFrom(timestamp(answer.start_ns))
    return message


def _binned(profiles: ProfilesInBins, *, with_steps: bool) -> pb.BinnedProfiles:
    return pb.BinnedProfiles(
        layout=layout_to_proto(profiles.layout),
        total=profile_to_proto(profiles.total),
        steps=map(_step, profiles.steps) if with_steps else (),
    )


def _step(step: ProfileStep) -> pb.ProfileStep:
    return pb.ProfileStep(
        start_time=timestamp(step.start_ns),
        end_time=timestamp(step.end_ns),
        profile=profile_to_proto(step.profile),
    )
