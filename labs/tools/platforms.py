# SPDX-License-Identifier: MIT
"""
A lab as a platform wants to have it. labs/platforms/ has what is the platform's own.

gradescope: FOLDER/autograder.zip, to be uploaded. autolab: FOLDER/autograde.tar and
FOLDER/autograde-Makefile. github: FOLDER is the tree for a repository that GitHub Classroom copies.
"""
import os
import shutil
import tarfile
import tempfile
import zipfile

FILES = "labs/platforms"
NAMES = "gradescope", "autolab", "github"


def gradescope(tree, folder):
    """Its files stand at the top of the archive, and may be executable."""
    with zipfile.ZipFile(f"{folder}/autograder.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("setup.sh", "run_autograder"):
            archive.write(f"{FILES}/gradescope/{name}", name)
        for top, _, names in os.walk(tree):
            for path in (os.path.join(top, name) for name in sorted(names)):
                archive.write(path, os.path.join("lab", os.path.relpath(path, tree)))


def autolab(tree, folder):
    with tarfile.open(f"{folder}/autograde.tar", "w") as archive:
        archive.add(tree, "lab")
    shutil.copy(f"{FILES}/autolab/autograde-Makefile", folder)


def make(platform, folder, make_tree, commit):
    """@make_tree writes the lab's tree into a folder, @commit commits what was added there."""
    if platform == "github":
        make_tree(folder)
        os.makedirs(f"{folder}/.github/workflows")
        shutil.copy(f"{FILES}/github/classroom.yml", f"{folder}/.github/workflows/classroom.yml")
        commit(folder)
        return
    with tempfile.TemporaryDirectory() as beside:
        tree = os.path.join(beside, "lab")
        make_tree(tree)
        shutil.rmtree(f"{tree}/.git")
        os.makedirs(folder)
        (gradescope if platform == "gradescope" else autolab)(tree, folder)
