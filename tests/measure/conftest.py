import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import sklearn.cluster  # noqa: F401 (a limit on threads reaches only the libraries that are loaded)

    with threadpool_limits(1):
        yield
