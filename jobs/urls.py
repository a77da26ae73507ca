"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from jobs.views import CancelView, JobsView, JobView, ResultView

urlpatterns = [
    path("jobs", JobsView.as_view(), name="jobs"),
    path("jobs/<uuid:job_id>", JobView.as_view(), name="job"),
    path("jobs/<uuid:job_id>/cancel", CancelView.as_view(), name="job-cancel"),
    path("jobs/<uuid:job_id>/result", ResultView.as_view(), name="job-result"),
]
