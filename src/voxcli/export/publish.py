"""An exported folder -> a repository on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from voxcli.errors import ModelError, UsageError


def check(repository: str) -> None:
    """Raise `UsageError` for what cannot be a repository's id, `ModelError` where nobody is logged in."""
    from huggingface_hub import get_token
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(
            f"--push {repository}: {error}", help="OWNER/NAME, for example --push ada/whisper-tr"
        ) from error
    if get_token() is None:
        raise ModelError(
            "nothing can be uploaded: no token of the hub is here",
            help="log in with `hf auth login`, or set HF_TOKEN to a token that may write",
        )


def publish(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder as one commit and return the repository's address; the repository is made where there is none.

    Raises `ModelError` where the hub refuses or cannot be reached; the folder stays as it is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # its client's own class: a host that cannot be reached raises that one, not the hub's
    http_error: type[Exception] = next(
        one for one in HfHubHTTPError.__mro__ if one.__name__ in ("HTTPError", "RequestException")
    )
    api = HfApi(library_name="voxcli")
    try:
        address = api.create_repo(repository, private=private, exist_ok=True, repo_type="model")
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload model with voxcli")
    except (http_error, OSError, ValueError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{folder} could not be uploaded to {repository}: {reason[0]}",
            help=f"the folder is whole; try again with `hf upload {repository} {folder} .`",
        ) from error
    return str(address)
