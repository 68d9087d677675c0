"""HTTP service that predicts the classes of pictures with an exported bundle.

Start it with `python -m api --bundle models/best`. Of the project's library it uses `lib.inference`
and `lib.errors` only.

    app.py            the routes
    service.py        one request from admission to prediction
    uploads.py        pictures from a multipart form, within limits on bytes, number and pixels
    preamble.py       what a multipart form may have before its first boundary
    batching.py       the queue that gathers requests into batches for the model
    open_inference.py the Open Inference Protocol
    tensors.py        that protocol's tensors, as JSON or as bytes
    middleware.py     request id, log line and metrics of every request; HEAD as GET
    errors.py         error responses, in one JSON shape
    metrics.py        Prometheus metrics
    logs.py           log lines as JSON
    openapi.py        the parts of the OpenAPI description that FastAPI cannot derive
    page/             the page at /
    streamlit_app.py  the same model in a Streamlit app, without the service
"""
