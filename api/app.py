"""The routes of the service."""

import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from api import errors, open_inference, openapi, pages
from api.errors import Problem, documented
from api.middleware import HeadAsGet, RequestRecorder, Unanswered
from api.service import Service, Settings
from api.sites import ANY, OwnSite
from lib.inference import Prediction, Predictor

REQUEST_SECONDS = 120.0  # until a response begins


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


def create_app(
    predictor: Predictor,
    settings: Settings | None = None,
    hosts: Sequence[str] = (ANY,),
    request_seconds: float = REQUEST_SECONDS,
) -> FastAPI:
    """The application that serves a predictor's bundle.

    Parameters
    ----------
    hosts : sequence of str     names in the header Host that are answered, or "*" for any
    request_seconds : float     time until a response begins
    """
    settings = settings or Settings()
    name = predictor.bundle.name
    service = Service(predictor, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    # The description needs no token, so that /docs works; it then says nothing of the model.
    told = settings.token is None
    app = FastAPIOffline(
        title=f"Vision Daybook: {name}" if told else "Vision Daybook",
        description=openapi.DESCRIPTION,
        version="1",
        docs_url=None,
        redoc_url=None,
        static_url=pages.ASSETS,
        redirect_slashes=False,  # a redirect would repeat the name in the header Host
        lifespan=lifespan,
    )
    errors.install(app)
    guards = [Security(bearer(settings.token))] if settings.token else []
    unauthorized = documented(401) if settings.token else {}
    # A request is compared with one route after the other, so those of the model come first.
    for routes in (model_routes(service, told), open_inference.model_routes(service, told)):
        app.include_router(routes, dependencies=guards, responses=unauthorized)
    app.include_router(public_routes(service, app.title))
    app.include_router(open_inference.health_routes(service, told))
    # From the innermost to the outermost. The recorder counts HEAD as HEAD, and sees refusals.
    app.add_middleware(HeadAsGet)
    app.add_middleware(Unanswered, seconds=request_seconds)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(OwnSite, names=hosts, origins=settings.origins)
    app.add_middleware(RequestRecorder, metrics=service.metrics)
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


def public_routes(service: Service, title: str) -> APIRouter:
    """The routes that need no token: the pages and the health checks."""
    router = APIRouter()
    at_root, documentation = pages.at_root(), pages.documentation(title)

    @router.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(at_root.html, headers=at_root.headers)

    @router.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(documentation.html, headers=documentation.headers)

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


def model_routes(service: Service, told: bool) -> APIRouter:
    """The routes of the model, which need the token if there is one.

    Parameters
    ----------
    told : bool   whether their description names the classes
    """
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
        names, predictions = await service.predict(request)
        with service.metrics.timed("writing"):
            body = {"model": bundle.name, "predictions": as_json(names, predictions, top)}
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
                json_schema_extra={"enum": [*bundle.classes]} if told else None,
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
