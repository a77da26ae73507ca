"""The app's endpoints, below ``/api/<environment>/v1/``."""

from django.urls import path

from customers.api import CustomersView, CustomerView

urlpatterns = [
    path("customers", CustomersView.as_view(), name="customers"),
    path("customers/<uuid:customer_id>", CustomerView.as_view(), name="customer"),
]
