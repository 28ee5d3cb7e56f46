"""flux-local worker, which the window starts, and `board render --machine` on another machine"""

import click


@click.command(hidden=True)
@click.option("--far", is_flag=True)
def worker(far: bool) -> None:
    """Run models for another program; it talks through the pipe. --far: files come and go through it too."""
    from app.engine.far_worker import FarWorker
    from app.engine.worker import main
    from app.training.character import teach

    main(teach, FarWorker if far else None)
