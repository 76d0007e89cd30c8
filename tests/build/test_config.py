"""Profiles: all of them load, and a mistake in one is told in a sentence that names it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from build.__main__ import app
from build.config import SAEPlan, load_profile, profile_names, with_files
from sae.errors import UserError

MINIMAL = '[[corpora]]\nname = "a"\nsource = { kind = "synthetic" }\n[[saes]]\nk = 4\nn_latents = 64\n'


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "profile.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads(name: str) -> None:
    config = load_profile(name)
    assert config.corpora
    assert config.saes


def test_the_papers_models_keep_their_names_at_both_widths() -> None:
    default, paper = load_profile("default"), load_profile("paper")
    assert [plan.name(1536) for plan in paper.saes] == ["SAE16", "SAE32", "SAE64"]
    assert [plan.latents(1536, 150_000) for plan in paper.saes] == [3072, 6144, 9216]
    assert [plan.name(1536) for plan in default.saes] == ["SAE16", "SAE32", "SAE64"]
    assert [plan.name(384) for plan in default.saes] == ["SAE4", "SAE8", "SAE16"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no corpus"),
        (MINIMAL + 'colour = "red"\n', "unknown colour"),
        (MINIMAL.replace('"a"', '"../a"'), "may hold only"),
        (MINIMAL.replace("k = 4\n", ""), "either k or k_share"),
        (MINIMAL + "n_ratio = 2\n", "either n_latents or n_ratio"),
        ("held_out = 0.9\n" + MINIMAL, "held_out is 0.9"),
        ("title = \n", "not valid TOML"),
        (MINIMAL.split("[[saes]]")[0], "names no SAE"),
        (MINIMAL + MINIMAL.split("[[saes]]")[0], "same name"),
        ('embedder = "minilm"\n' + MINIMAL, "embedder is 'minilm'"),
        ('held_out = "a"\n' + MINIMAL, "held_out is 'a'"),
        (MINIMAL.replace('"a"', "1"), "name is 1"),
        (MINIMAL.replace('{ kind = "synthetic" }', '"x.csv"'), "source is 'x.csv'"),
        (MINIMAL + "documents_per_latent = 0\n", "documents_per_latent = 0"),
        (MINIMAL.replace('"a"', '"a."'), "cannot be used"),
        (MINIMAL.replace('"a"', '"query_encoder"'), "cannot be used"),
        (MINIMAL.replace("[[corpora]]", "[corpora]"), r"begin each of them with \[\[corpora\]\]"),
        ("saes = 3\n" + MINIMAL.split("[[saes]]")[0], r"begin each of them with \[\[saes\]\]"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_profile(write(tmp_path, text))


def test_an_unknown_profile_lists_the_known() -> None:
    with pytest.raises(UserError, match="default"):
        load_profile("nothing")


def test_latents_are_fitted_to_the_corpus() -> None:
    plan = SAEPlan(k=8, n_ratio=4, documents_per_latent=17)
    assert plan.latents(384, 1_000_000) == 1536
    assert plan.latents(384, 9_500) == 512  # 9,500 / 17 = 558, in steps of 64
    assert plan.latents(384, 100) == 64
    assert SAEPlan(k=48, n_ratio=4, documents_per_latent=17).latents(384, 100) == 96  # never fewer than 2k


def test_files_replace_the_corpora_and_take_their_names() -> None:
    config = with_files(
        load_profile("default"), [Path("/data/my papers.parquet"), Path("b.csv")], {"limit": 5}, ()
    )
    assert [corpus.name for corpus in config.corpora] == ["my-papers", "b"]
    assert config.corpora[1].source == {"kind": "files", "path": "b.csv", "limit": 5}


def test_odd_file_names_get_names_that_work() -> None:
    files = [
        Path("_papers.csv"),
        Path("a.v1.csv"),
        Path("b/a.csv"),
        Path("query_encoder.parquet"),
        Path("日.csv"),
    ]
    files.append(Path("x" * 90 + ".csv"))
    names = [corpus.name for corpus in with_files(load_profile("default"), files, {}, ()).corpora]
    assert names[:5] == ["papers", "a", "a-2", "query_encoder-2", "documents"]
    assert len(set(names)) == len(names)


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_profile(str(folder))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            "[families]\nmax_densit = 1",
            r"\[families\]: unknown max_densit; known are at_least, .*max_density",
        ),
        ("[families]\nthreshold = 5", r"The profile's \[families\]: threshold is 5\.0; it is a share"),
        ("[labeller]\nbudget_usd = -2", r"sextant: \[labeller\] budget_usd is -2"),
        ("[splitting]\nnovel_cosine = 'a'", r"\[splitting\]: novel_cosine is 'a'; .*number"),
        ("[labeller]\npairs = ['a']", r"\[labeller\]: pairs.0 is 'a'; input should be a valid list"),
        ("[evaluation]\nquery = 3", r"\[evaluation\]: unknown query; known are .*queries"),
        ("[embedder]\nkind = 'precomputed'", r"it is missing 1 option: 'path'\. Mend"),
    ],
)
def test_mistakes_in_any_table_are_named_before_the_first_job(tmp_path: Path, table: str, told: str) -> None:
    path = write(tmp_path, f"{MINIMAL}\n{table}\n[training]\nsteps = 9\n")
    found = CliRunner().invoke(app, ["--profile", str(path), "--out", str(tmp_path), "--dry-run"])
    assert found.exit_code == 1
    assert re.search(told, " ".join(found.output.split())), found.output
