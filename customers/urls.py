"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from customers.customers.views import CustomersView, CustomerView
from customers.licenses import views as licenses
from customers.telemetry import views as telemetry

LICENSE = "licenses/<uuid:license_id>"

urlpatterns = [
    path("customers", CustomersView.as_view(), name="customers"),
    path("customers/<uuid:customer_id>", CustomerView.as_view(), name="customer"),
    path("licenses", licenses.LicensesView.as_view(), name="licenses"),
    path("licenses/validate", licenses.ValidateView.as_view(), name="license-validate"),
    path(LICENSE, licenses.LicenseView.as_view(), name="license"),
    path(f"{LICENSE}/suspend", licenses.SuspendView.as_view(), name="license-suspend"),
    path(f"{LICENSE}/reinstate", licenses.ReinstateView.as_view(), name="license-reinstate"),
    path(f"{LICENSE}/renew", licenses.RenewView.as_view(), name="license-renew"),
    path(f"{LICENSE}/revoke", licenses.RevokeView.as_view(), name="license-revoke"),
    path(f"{LICENSE}/activations", licenses.ActivationsView.as_view(), name="activations"),
    path(
        f"{LICENSE}/activations/<uuid:activation_id>",
        licenses.ActivationView.as_view(),
        name="activation",
    ),
    path("telemetry", telemetry.TelemetryView.as_view(), name="telemetry"),
    path("telemetry/summary", telemetry.SummaryView.as_view(), name="telemetry-summary"),
    path(
        "telemetry/<uuid:telemetry_id>",
        telemetry.TelemetryEventView.as_view(),
        name="telemetry-event",
    ),
]
