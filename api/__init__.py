"""HTTP service that predicts the classes of pictures with an exported bundle.

Start it with `python -m api --bundle models/demo`. Of the project's library it uses `lib.inference`
and `lib.errors` only.

    app.py            the routes
    service.py        one request from admission to prediction
    uploads.py        pictures from a multipart form, within limits on bytes, number and pace
    preamble.py       what a multipart form may have before its first boundary
    decoding.py       pictures decoded under a budget of pixels, memory and time
    decoder_process.py  a process that decodes, seen from the event loop
    batching.py       the queue that gathers requests into batches for the model
    open_inference.py the Open Inference Protocol
    tensors.py        that protocol's tensors, as JSON or as bytes
    server.py         uvicorn's server, which ends within a given time
    connections.py    limits on connections, and on the heads of requests
    clients.py        what one client address may hold
    interruption.py   what ends the work on a request from outside
    pace.py           the slowest pace of a client that is waited for
    sites.py          which web pages may call the service, and the security headers
    middleware.py     request id, log line and metrics of every request; HEAD as GET
    errors.py         error responses, in one JSON shape
    metrics.py        Prometheus metrics
    logs.py           log lines as JSON
    cores.py          the CPU cores that the process may use
    openapi.py        the parts of the OpenAPI description that FastAPI cannot derive
    pages.py          the pages, and what a browser may load for them
    page/             the page at /
    streamlit_app.py  the same model in a Streamlit app, without the service
"""
