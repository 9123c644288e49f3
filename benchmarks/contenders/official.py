"""The official client, `voucherify` from the package index, in as many threads as calls are to run at once."""

from __future__ import annotations

import importlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.contenders import APP_ID, APP_TOKEN, new_customer

voucherify: Final[Any] = importlib.import_module("voucherify")  # exports nothing that a type checker takes


class Contender:
    def __init__(self, base_url: str) -> None:
        configuration = voucherify.Configuration(
            host=base_url, api_key={"X-App-Id": APP_ID, "X-App-Token": APP_TOKEN}
        )
        configuration.connection_pool_maxsize = 100
        self.api = voucherify.ApiClient(configuration)
        self.customers = voucherify.CustomersApi(self.api)

    def close(self) -> None:
        self.api.rest_client.pool_manager.clear()

    def create(self, calls: int, concurrency: int) -> list[float]:
        seconds: list[float] = []
        numbers = itertools.islice(itertools.count(), calls)
        turn = threading.Lock()

        def work() -> None:
            while True:
                with turn:
                    number = next(numbers, None)
                if number is None:
                    return
                began = time.perf_counter()
                body = voucherify.CustomersCreateRequestBody(**new_customer(number))
                assert self.customers.create_customer(body).id
                seconds.append(time.perf_counter() - began)

        with ThreadPoolExecutor(concurrency) as threads:
            for worker in [threads.submit(work) for _ in range(concurrency)]:
                worker.result()
        return seconds

    def walk_activity(self) -> int:
        raise TypeError("the official client has no model that takes every activity")

    def walk(self) -> int:
        count = 0
        query: dict[str, Any] = {"limit": 100, "order": voucherify.ParameterOrderListCustomers("-created_at")}
        while True:
            page = self.customers.list_customers(**query)
            for _ in page.customers:
                count += 1
            if not page.has_more:
                return count
            query["starting_after"] = page.customers[-1].created_at
