"""flux-local worker, which only the window starts"""

import click


@click.command(hidden=True)
def worker() -> None:
    """Run models for the window; it talks through the pipe."""
    from app.engine.worker import main
    from app.training.character import teach

    main(teach)
