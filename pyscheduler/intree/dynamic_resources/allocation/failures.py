"""Why an allocation failed, other than that there is no solution."""

from pyscheduler.errors import PySchedulerError


class AllocationFailed(PySchedulerError):  # noqa: N818  # says what is wrong, not that it is an error
    """No node can help: a claim, class or slice cannot be understood, or must be waited for.

    The attempt to schedule the pod fails with this message.
    """


class NodeAllocationFailed(PySchedulerError):  # noqa: N818  # as above
    """There is no solution on this node, for a reason worth telling; others may do."""


class AllocationAborted(PySchedulerError):  # noqa: N818  # as above
    """The time for the search was up."""
