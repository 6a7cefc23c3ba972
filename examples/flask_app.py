"""A Flask app with the fan-out inside it. Run: PORT=8001 python examples/flask_app.py

It needs `flask[async]`. Its environment says which engine drives it (INNGEST_*) and where its files are (ANABRANCH_*).
"""

from __future__ import annotations

import os

import flask
import inngest
import inngest.flask

from anabranch import Anabranch

client = inngest.Inngest(app_id="my-flask-app")
anabranch = Anabranch()
app = flask.Flask(__name__)
inngest.flask.serve(app, client, anabranch.functions(client))


@app.get("/outputs/<path:key>")
def read_output(key: str) -> flask.Response:
    """The files that were made."""
    return flask.send_from_directory(anabranch.outputs.absolute(), key)


@app.get("/videos/<media_id>")
def read_video(media_id: str) -> dict[str, object]:
    """The record of a video."""
    return anabranch.media(media_id) or {"status": "unknown"}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), threaded=True)
