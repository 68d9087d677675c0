"""The routes of the service."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api import errors, open_inference, openapi
from api.errors import Problem, documented
from api.middleware import HeadAsGet, RequestRecorder
from api.service import Service, Settings
from lib.inference import Prediction, Predictor

DOCS_FILES = "/static-offline-docs"
PAGE = Path(__file__).parent / "page" / "index.html"


class ClassProbability(BaseModel):
    label: str
    probability: float


class PicturePrediction(BaseModel):
    file: str
    label: str
    confidence: float
    probabilities: list[ClassProbability]


class Predictions(BaseModel):
    """One prediction per picture, in the order of the request."""

    model: str
    predictions: list[PicturePrediction]


class ModelFacts(BaseModel):
    """Facts about the exported model, and the limits of the service."""

    name: str
    run_id: str
    sha256: dict[str, str]
    classes: list[str]
    image_size: int
    temperature: float
    metrics: dict[str, Any]
    limits: dict[str, int]


class HealthStatus(BaseModel):
    status: str


def create_app(predictor: Predictor, settings: Settings | None = None) -> FastAPI:
    """The application that serves a predictor's bundle."""
    settings = settings or Settings()
    service = Service(predictor, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPIOffline(
        title=f"Vision Daybook: {predictor.bundle.name}",
        description=openapi.DESCRIPTION,
        version="1",
        docs_url=None,  # the library's own page has no policy
        redoc_url=None,
        static_url=DOCS_FILES,
        lifespan=lifespan,
    )
    errors.install(app)
    app.include_router(documentation(app))
    app.include_router(public_routes(service))
    app.include_router(open_inference.health_routes(service))
    guards = [Security(bearer(settings.token))] if settings.token else []
    unauthorized = documented(401) if settings.token else {}
    for routes in (model_routes(service), open_inference.model_routes(service)):
        app.include_router(routes, dependencies=guards, responses=unauthorized)
    app.add_middleware(HeadAsGet)  # within the recorder, which counts the request as HEAD
    app.add_middleware(RequestRecorder, metrics=service.metrics)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    return app


def bearer(token: str) -> Any:
    """A dependency that refuses requests without this token."""
    scheme = HTTPBearer(auto_error=False)

    async def check(
        sent: Annotated[HTTPAuthorizationCredentials | None, Security(scheme)],
    ) -> None:
        if not sent or not hmac.compare_digest(sent.credentials.encode(), token.encode()):
            message = (
                "missing or wrong bearer token; send the header `Authorization: Bearer <token>`"
            )
            raise Problem(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})

    return check


def documentation(app: FastAPI) -> APIRouter:
    """The page /docs, by Swagger UI, which reads the names of classes as Markdown.

    Swagger UI removes scripts from it; the policy keeps pictures in it from naming other hosts.
    """
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=app.title,
            swagger_js_url=f"{root}{DOCS_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{DOCS_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{root}{DOCS_FILES}/favicon.png",
        )
        code = bytes(page.body).decode().rpartition("<script>")[2].partition("</script>")[0]
        page.headers["Content-Security-Policy"] = (
            f"default-src 'self'; script-src 'self' 'sha256-{digest(code)}'; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "object-src 'none'; base-uri 'none'; form-action 'none'"
        )
        return page

    return router


def public_routes(service: Service) -> APIRouter:
    """The routes that need no token: the page and the health checks."""
    router = APIRouter()
    html = PAGE.read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": content_policy(html), "X-Content-Type-Options": "nosniff"}

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    @router.get("/healthz", tags=["health"])
    async def liveness() -> HealthStatus:
        """Liveness check."""
        return HealthStatus(status="alive")

    @router.get("/readyz", tags=["health"], responses=documented(503))
    async def readiness() -> HealthStatus:
        """Readiness check."""
        service.check_ready()
        return HealthStatus(status="ready")

    return router


def content_policy(html: str) -> str:
    """A policy that allows only the page's own script and style, and requests to its origin."""
    allowed = {}
    for tag in ("script", "style"):
        inline = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        allowed[tag] = f"{tag}-src 'sha256-{digest(inline)}'"
    return (
        f"default-src 'none'; {allowed['script']}; {allowed['style']}; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )


def digest(inline: str) -> str:
    """The SHA-256 of an inline script or style, as a policy names it."""
    return base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()


def model_routes(service: Service) -> APIRouter:
    """The routes of the model, which need the token if there is one."""
    router = APIRouter()
    bundle = service.predictor.bundle
    errors_of_forms = documented(400, 408, 413, 415, 422, 503)

    @router.post(
        "/predict",
        tags=["pictures"],
        response_model=Predictions,
        responses=errors_of_forms,
        openapi_extra=openapi.picture_form(many=True),
    )
    async def predict(request: Request, top: Top = None) -> Response:
        """Calibrated class probabilities for one or more pictures."""
        names, rows = await service.predict(request)
        with service.stage("writing"):
            predictions = as_json(names, service.predictor.labelled(rows), top)
            body = {"model": bundle.name, "predictions": predictions}
            return Response(json.dumps(body), media_type="application/json")

    @router.post(
        "/explain",
        tags=["pictures"],
        response_class=Response,
        responses={200: openapi.PNG, **errors_of_forms},
        openapi_extra=openapi.picture_form(many=False),
    )
    async def explain(
        request: Request,
        target: Annotated[
            str | None,
            Query(
                description="class to explain (default: the predicted class)",
                json_schema_extra={"enum": [*bundle.classes]},
            ),
        ] = None,
    ) -> Response:
        """Grad-CAM heatmap for one class, as a PNG over the grey picture."""
        return Response(await service.explain(request, target), media_type="image/png")

    @router.get("/model", tags=["model"])
    async def model_facts() -> ModelFacts:
        """Classes, input size, temperature and test metrics of the model; limits of the service."""
        limits = service.limits
        return ModelFacts(
            name=bundle.name,
            run_id=bundle.run_id,
            sha256=bundle.sha256,
            classes=list(bundle.classes),
            image_size=bundle.image_size,
            temperature=bundle.temperature,
            metrics=bundle.metrics,
            limits={
                "file_bytes": limits.file_bytes,
                "files": limits.files,
                "request_bytes": limits.request_bytes,
                "pixels": limits.pixels,
            },
        )

    @router.get("/metrics", tags=["health"], response_class=Response, responses={200: openapi.TEXT})
    async def metrics() -> Response:
        """Metrics in the Prometheus text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router


Top = Annotated[int | None, Query(ge=1, description="return only the N most probable classes")]


def as_json(names: list[str], predictions: list[Prediction], top: int | None) -> list[Any]:
    """Predictions as JSON objects that match `PicturePrediction`."""
    return [
        {
            "file": name,
            "label": prediction.label,
            "confidence": round(prediction.confidence, 6),
            "probabilities": [
                {"label": label, "probability": round(probability, 6)}
                for label, probability in prediction.top(
                    top or len(prediction.probabilities)
                ).items()
            ],
        }
        for name, prediction in zip(names, predictions, strict=True)
    ]
