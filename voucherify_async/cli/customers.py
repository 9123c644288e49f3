"""The commands ``customers ...``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from voucherify_async.cli._columns import flatten
from voucherify_async.cli._connection import Connection
from voucherify_async.cli._exit_codes import CommandError, ExitCode
from voucherify_async.cli._formats import STANDARD_STREAM, FileFormat, choose_format
from voucherify_async.cli._jobs import print_job, wait_for
from voucherify_async.cli._options import (
    Concurrency,
    FileArgument,
    Filters,
    Json,
    Limit,
    Seconds,
    Yes,
    hint_after_interruption,
)
from voucherify_async.cli._output import (
    confirm,
    notice,
    print_json,
    print_list,
    print_record,
    progress_bar,
    show,
)
from voucherify_async.errors import NotFoundError, VoucherifyError

if TYPE_CHECKING:
    from voucherify_async.client import VoucherifyClient
    from voucherify_async.models import AsyncAction, Customer

__all__ = ["app"]

_COLUMNS: Final = {
    "id": "id",
    "source_id": "source_id",
    "name": "name",
    "email": "email",
    "city": "address.city",
    "created_at": "created_at",
}
_EVENT_COLUMNS: Final = {"created_at": "created_at", "type": "type", "id": "id"}
_MAX_IMPORT_BYTES: Final = 10 * 1024 * 1024

Order = Literal["created_at", "-created_at", "updated_at", "-updated_at", "source_id", "-source_id"]
Ids = Annotated[list[str], Parameter(consume_multiple=True)]

app = App(name="customers", help="Read, export, sync, import and delete customers.")


@app.command
def get(ids: Ids, /, *, as_json: Json = False, connection: Connection = Connection()) -> ExitCode:
    """Print customers.

    Args:
        ids: The id or source_id of each customer.
    """

    async def read(voucherify: VoucherifyClient) -> ExitCode:
        code = ExitCode.DONE
        for customer_id in ids:
            try:
                customer = await voucherify.customers.get(customer_id)
            except NotFoundError:
                notice(f"There is no customer {show(customer_id)}.")
                code = ExitCode.SOME_FAILED
            else:
                _print_customer(customer, as_json=as_json)
        return code

    return connection.run(read)


def _print_customer(customer: Customer[Any], *, as_json: bool) -> None:
    if as_json:
        print_json([customer])
    else:
        print_record(flatten(customer.to_dict()))


@app.command(name="list")
def list_customers(
    *,
    limit: Limit = 20,
    order: Order | None = None,
    as_json: Json = False,
    filters: Filters = Filters(),
    connection: Connection = Connection(),
) -> None:
    """List customers, newest first.

    Args:
        limit: The most customers to print.
        order: The property to sort by; a leading dash reverses the order.
    """

    async def read(voucherify: VoucherifyClient) -> None:
        pager = voucherify.customers.list(limit=min(limit, 100), order=order, **filters.to_arguments())
        await print_list(pager, limit, _COLUMNS, as_json=as_json)

    connection.run(read)


@app.command
def activity(
    customer_id: Annotated[str, Parameter(name="ID")],
    /,
    *,
    limit: Limit = 20,
    as_json: Json = False,
    connection: Connection = Connection(),
) -> None:
    """List the events of a customer, newest first.

    Args:
        customer_id: The id or source_id of the customer.
        limit: The most events to print.
    """

    async def read(voucherify: VoucherifyClient) -> None:
        pager = voucherify.customers.list_activity(customer_id, limit=min(limit, 100))
        await print_list(pager, limit, _EVENT_COLUMNS, as_json=as_json)

    connection.run(read)


@app.command
def export(
    file: FileArgument,
    /,
    *,
    into: Annotated[FileFormat | None, Parameter(name="--format")] = None,
    concurrency: Concurrency = 4,
    columns: Annotated[list[str] | None, Parameter(consume_multiple=False)] = None,
    overwrite: bool = False,
    restart: bool = False,
    as_json: Json = False,
    filters: Filters = Filters(),
    connection: Connection = Connection(),
) -> None:
    """Export customers to a file: each of them once, in no fixed order.

    The file appears when it is complete. Until then, FILE.part holds the customers so far: run the same command again to
    continue an export that was interrupted.

    Args:
        file: The file to write; - is standard output.
        into: ndjson (all documented properties), csv (the columns of the service's import, so that customers sync
            accepts the file) or parquet (needs pyarrow). Default: as the file's suffix says; ndjson for standard output.
        concurrency: The number of windows of creation time to read at once. With 1, the order is newest first.
        columns: A property to write as a column of a CSV file, in place of those of the import: id, address.city,
            metadata.tier. Pass it once for each column.
        overwrite: Replace the file if it exists.
        restart: Discard what an interrupted export left.
        as_json: Print the number of customers as JSON.
    """
    # These take a while, which `--help` need not wait for.
    from voucherify_async.cli._export import export_to_file, export_to_output  # noqa: PLC0415
    from voucherify_async.cli._writing import check_format, check_properties  # noqa: PLC0415

    into = choose_format(file, into)
    check_format(into)
    if columns:
        if into is not FileFormat.CSV:
            raise CommandError(f"--columns is for CSV, not for {into}")
        check_properties(columns)
    project, query = connection.open(), filters.to_arguments()
    if file == STANDARD_STREAM:
        export_to_output(project, query, into, columns, concurrency=concurrency)
        return
    hint = (
        "Run the same command to continue."
        if not restart
        else "Run the command without --restart to continue."
    )
    with hint_after_interruption(hint):
        customers = export_to_file(
            project,
            query,
            file,
            into,
            columns,
            concurrency=concurrency,
            overwrite=overwrite,
            restart=restart,
        )
    if as_json:
        print_json([{"file": str(file), "customers": customers}])
    else:
        print(f"{customers:,} customers in {file}.")


@app.command
def sync(
    file: FileArgument,
    /,
    *,
    format_: Annotated[Literal["ndjson", "csv"] | None, Parameter(name="--format")] = None,
    query: str | None = None,
    delimiter: str = ",",
    state: Path | None = None,
    full: bool = False,
    project: str | None = None,
    concurrency: Concurrency = 4,
    timeout: Seconds = None,
    failures: Path | None = None,
    as_json: Json = False,
    connection: Connection = Connection(),
) -> ExitCode:
    """Create and update any number of customers from a file, in bulk jobs. The exit code is 1 if some of them failed.

    With --state, the command can be run every night, and again after an interruption: only customers that are new or have
    changed are sent.

    Args:
        file: The file to read; - is standard input. Lines of JSON, each with a source_id; or CSV with the columns of the
            service's import, where a row replaces all properties of its customer: Source_id, Name, Email, Phone, Birthdate,
            Description, Address_line_1, Address_line_2, Address_Postal_Code, Address_City, Address_State,
            Address_Country; all others are metadata.
        format_: ndjson or csv. Default: as the file's suffix says; ndjson for standard input.
        query: The file is an SQLite database, and each row of this query is a customer. Columns have the names of a
            customer's fields, or address_city and so on; all others are metadata. NULL clears a value.
        delimiter: The character between the cells of a CSV file.
        state: A file that records what the service holds. It is created if it does not exist.
        full: Send customers that are unchanged, too.
        project: A name for the project, stored in the state file, if its application ID will change.
        concurrency: The number of jobs that may run at once.
        timeout: Seconds after which to stop waiting. The exit code is 4 then; running jobs continue. Default: no limit.
        failures: A file to which each failure is written as a line of JSON.
        as_json: Print the counts and the failures as one JSON object.
    """
    from voucherify_async.cli._sync import Source  # noqa: PLC0415  # takes a while

    if query is None and file.suffix.lower() in {".sqlite", ".sqlite3", ".db"}:
        raise CommandError(f"{file} looks like an SQLite database: pass --query")
    form = choose_format(file, FileFormat.NDJSON if query is not None else format_)
    if form is FileFormat.PARQUET:
        raise CommandError("a Parquet file cannot be synced: convert it to NDJSON")
    if query is not None and file == STANDARD_STREAM:
        raise CommandError("--query needs the path of a database")
    if file != STANDARD_STREAM and not file.exists():
        raise CommandError(f"{file} does not exist")
    source = Source(file, form, query, delimiter, failures)
    hint = (
        "Run the same command to continue."
        if state
        else "With --state FILE, the same command could continue."
    )
    try:
        with hint_after_interruption(hint), progress_bar("customers") as advance:
            report = connection.run(
                lambda voucherify: source.sync(
                    voucherify,
                    advance,
                    concurrency=concurrency,
                    state=state,
                    full=full,
                    project=project,
                    timeout=timeout,
                )
            )
    except (VoucherifyError, ValueError) as error:
        if (so_far := getattr(error, "report", None)) is not None:
            source.print_report(so_far, as_json=as_json)
        raise
    return source.print_report(report, as_json=as_json)


@app.command(name="import")
def import_file(
    file: FileArgument,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
    timeout: Seconds = None,
    as_json: Json = False,
    connection: Connection = Connection(),
) -> ExitCode:
    """Import a CSV file of up to 10 MB in one job. A row replaces all properties of its customer.

    Args:
        file: The file, with the column names of the service's import; - is standard input.
        wait: Wait until the job has ended. The exit code is 1 if rows failed.
        timeout: The longest wait, in seconds. The exit code is 4 if the job has not ended by then. Default: no limit.
    """
    content: Path | bytes = file
    if file == STANDARD_STREAM:
        content = sys.stdin.buffer.read(_MAX_IMPORT_BYTES + 1)
    project = connection.open()

    async def start_job(voucherify: VoucherifyClient) -> AsyncAction[Any] | None:
        receipt = await voucherify.customers.import_csv(content)
        if wait:
            notice(f"The job is {receipt.async_action_id}.")
            return await wait_for(voucherify, receipt.async_action_id, timeout)
        if as_json:
            print_json([receipt])
        else:
            print(receipt.async_action_id)
        return None

    job = project.run(start_job)
    return ExitCode.DONE if job is None else print_job(job, as_json=as_json)


@app.command
def delete_missing(
    state: Path,
    /,
    *,
    max_share: float = 0.1,
    project: str | None = None,
    yes: Yes = False,
    connection: Connection = Connection(),
) -> None:
    """Delete the customers that were no longer in the source of the last sync with a state file.

    Nothing is deleted if that sync did not read its source to the end, or read a customer without a source_id.

    Args:
        state: The state file of the sync.
        max_share: Delete nothing if more than this share of all customers in the state file is missing.
        project: The name for the project, if one was passed to the sync.
    """
    if not state.exists():
        raise CommandError(f"{state} does not exist")
    opened = connection.open()
    if not confirm(f"Delete the missing customers of {state} at {opened.client.base_url}?", yes=yes):
        raise CommandError("Nothing was deleted.", ExitCode.SOME_FAILED)
    with hint_after_interruption("Run the same command to continue."):
        deleted = opened.run(
            lambda voucherify: voucherify.customers.delete_missing(
                state, max_share=max_share, project=project
            )
        )
    notice(f"{deleted:,} deleted.")


@app.command
def delete(
    ids: Ids,
    /,
    *,
    permanently: bool = False,
    yes: Yes = False,
    connection: Connection = Connection(),
) -> ExitCode:
    """Delete customers. The exit code is 1 if some of them do not exist.

    Args:
        ids: The id or source_id of each customer.
        permanently: Erase all data that are connected with them, too.
    """
    project = connection.open()
    what = f"customer {show(ids[0])}" if len(ids) == 1 else f"{len(ids):,} customers"
    how = " permanently, with all their data," if permanently else ""
    if not confirm(f"Delete {what}{how} at {project.client.base_url}?", yes=yes):
        raise CommandError("Nothing was deleted.", ExitCode.SOME_FAILED)

    async def remove(voucherify: VoucherifyClient) -> ExitCode:
        deleted = 0
        for customer_id in ids:
            try:
                if permanently:
                    await voucherify.customers.delete_permanently(customer_id)
                else:
                    await voucherify.customers.delete(customer_id)
            except NotFoundError:
                notice(f"There is no customer {show(customer_id)}.")
            else:
                deleted += 1
        notice(f"{deleted:,} deleted.")
        return ExitCode.DONE if deleted == len(ids) else ExitCode.SOME_FAILED

    return project.run(remove)
