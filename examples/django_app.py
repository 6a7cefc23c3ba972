"""A Django app in one file with the fan-out inside it. Run: PORT=8001 python examples/django_app.py

Its environment says which engine drives it (INNGEST_*) and where its files are (ANABRANCH_*).
"""

from __future__ import annotations

import os

import django
import inngest
import inngest.django
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path
from django.views.static import serve

from anabranch import Anabranch

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, SECRET_KEY="only for this example")  # noqa: S106
django.setup()

client = inngest.Inngest(app_id="my-django-app")
anabranch = Anabranch()


def read_output(request: HttpRequest, key: str) -> HttpResponseBase:
    """The files that were made."""
    return serve(request, key, document_root=str(anabranch.outputs))


def read_video(request: HttpRequest, media_id: str) -> JsonResponse:  # noqa: ARG001
    """The record of a video."""
    return JsonResponse(anabranch.media(media_id) or {"status": "unknown"})


urlpatterns = [
    inngest.django.serve(client, anabranch.functions(client)),
    path("outputs/<path:key>", read_output),
    path("videos/<str:media_id>", read_video),
]

if __name__ == "__main__":
    uvicorn.run(get_asgi_application(), host="127.0.0.1", port=int(os.environ["PORT"]), lifespan="off")
