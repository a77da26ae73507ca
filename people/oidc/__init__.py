"""Sign-in through an OpenID Connect provider, on django-allauth."""
