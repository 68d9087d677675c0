"""The service: a bundle in, answers over HTTP out. Sees only `lib.inference` of this project.

Start it with `python -m api --bundle models/best`.

    app.py            the paths and what each answers
    service.py        one request: admitted, read, decoded, predicted
    uploads.py        files out of a request's body, within limits on bytes, number and pixels
    batching.py       requests gathered into batches for the model
    open_inference.py the Open Inference Protocol
    tensors.py        that protocol's tensors, as JSON or as bytes
    middleware.py     around every request: its id, its log line, its metrics
    errors.py         error responses
    metrics.py        metrics for Prometheus
    logs.py           log lines as JSON
    openapi.py        the parts of the API description that are not in the code
    page/             the page at /
    streamlit_app.py  the same model in a Streamlit app, without the service
"""
