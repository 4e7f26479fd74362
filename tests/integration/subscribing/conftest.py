"""A server as the recipes find it, and a copy of their folder, as installed."""

import contextlib

import pytest
import recipes
from recipe_place import Place, environment
from recipes import Recipe


@pytest.fixture(name="needs_recipes", scope="module")
def _needs_recipes() -> None:
    recipes.require()


@pytest.fixture(name="site", scope="module")
def _site(needs_recipes, tmp_path_factory):
    with contextlib.closing(Place(tmp_path_factory.mktemp("site"))) as made:
        yield made


@pytest.fixture(name="own_site")
def _own_site(needs_recipes, tmp_path):
    """One whose server the test may restart."""
    with contextlib.closing(Place(tmp_path)) as made:
        yield made


@pytest.fixture(name="folder")
def _folder(needs_recipes, tmp_path):
    return recipes.copied(tmp_path)


@pytest.fixture(name="run")
def _run(site, folder):
    """Starts a recipe as subscriber; what still runs at the end is ended."""
    started = []

    def start(command: str, **changes: str) -> Recipe:
        started.append(Recipe(command, folder, environment(site) | changes))
        return started[-1]

    yield start
    for one in started:
        one.stop()
